"""What a type checker has to refuse, line by line; checked by test_typing.py, and never run."""

from fasttoken import Project, Role
from fasttoken.services import Rtc, Rtm

project = Project("a" * 32, "b" * 32)

project.rtc_token("room")  # wrong: no uid
project.rtc_token(7, 7)  # wrong: channel name
project.rtc_token("room", b"ann")  # wrong: uid
project.rtc_token("room", 7, "host")  # wrong: role
project.rtc_token("room", 7, 3)  # wrong: role
project.rtc_token("room", 7, expire="60")  # wrong: expire
project.rtc_token("room", 7, Role.PUBLISHER, 60, 5)  # wrong: keyword only
project.rtm_token("ann", wildcard=True)  # wrong: no such option
project.chat_app_token(salt="1")  # wrong: salt
project.token([])  # right: an empty list has a type
project.token(["rtc"])  # wrong: services
project.tokens([Rtc("room", [1])], output="csv")  # wrong: output
project.tokens([Rtc("room", [1])], errors="ignore")  # wrong: errors
project.rtc_tokens("room", [1], output="csv")  # wrong: output
project.rtc_tokens("room", 1.5)  # wrong: uids
project.dynamic_key(6, "room")  # wrong: version
Project("a" * 32)  # wrong: no certificate
Rtc("room", 7).channel_name = "other"  # wrong: frozen
Rtm(7)  # wrong: user id

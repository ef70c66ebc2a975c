// Reads tokens with Agora's own npm package and prints what it found, for test_npm.py.
//
// Standard input: {"certificate", "new": [token], "old": [{token, channel_name, uid, ...}]}.
// argv[2]: where the package is installed.
const { createRequire } = require('module')
const load = createRequire(process.argv[2] + '/')
const { AccessToken2 } = load('agora-token/src/AccessToken2')
const { AccessToken } = load('agora-token/src/AccessToken')

const text = value => (value === undefined ? undefined : value.toString())

function readNew(token, certificate) {
    const read = new AccessToken2('', '', 1, 0)
    if (!read.from_string(token)) return null
    return {
        app_id: text(read.appId),
        issue_ts: read.issueTs,
        expire: read.expire,
        salt: read.salt,
        verified: read.verifySignature(certificate),
        refused: !read.verifySignature('f'.repeat(32)),
        services: read.services.map(service => ({
            type: service.service_type(),
            privileges: service.__privileges,
            channel_name: text(service.__channel_name),
            uid: text(service.__uid),
            account: text(service.__account),
            user_id: text(service.__user_id),
            room_uuid: text(service.__room_uuid),
            user_uuid: text(service.__user_uuid),
            role: service.__role,
            permissions: service.__permissions && service.__permissions.details
        }))
    }
}

function readOld(given, certificate) {
    const read = new AccessToken('', '', '', '')
    if (!read.fromString(given.token)) return null
    const made = new AccessToken(given.app_id, certificate, given.channel_name, given.uid)
    made.salt = read.salt
    made.ts = read.ts
    made.messages = read.messages
    return {
        app_id: read.appID,
        salt: read.salt,
        ts: read.ts,
        privileges: read.messages,
        channel_crc: read.crc_channel_name,
        uid_crc: read.crc_uid,
        made: made.build()
    }
}

const given = JSON.parse(require('fs').readFileSync(0, 'utf8'))
console.log(
    JSON.stringify({
        new: given.new.map(token => readNew(token, given.certificate)),
        old: given.old.map(token => readOld(token, given.certificate))
    })
)

'use strict'
// The process that npm agora-token runs in: worker.py for Node. See harness.Worker.

const { createRequire } = require('module')
const path = require('path')
const readline = require('readline')

const modules = path.resolve(process.argv[2])
const load = createRequire(path.join(modules, 'benchmark.js'))
const { RtcTokenBuilder, RtmTokenBuilder, RtcRole, Rtm2Permissions } = load('agora-token')
const { AccessToken2 } = load('agora-token/src/AccessToken2')
let { RtcTokenBuilder: RtcTokenBuilder006 } = load('agora-token/src/RtcTokenBuilder')

let project, rows, permissions, tokens

const cases = {
    publisher: ([channel, uid]) =>
        RtcTokenBuilder.buildTokenWithUid(
            project.app_id, project.certificate, channel, uid, RtcRole.PUBLISHER, project.expire, project.expire
        ),
    subscriber: ([channel, uid]) =>
        RtcTokenBuilder.buildTokenWithUid(
            project.app_id, project.certificate, channel, uid, RtcRole.SUBSCRIBER, project.expire, project.expire
        ),
    rtc_rtm: ([channel, uid]) =>
        RtcTokenBuilder.buildTokenWithRtm(
            project.app_id, project.certificate, channel, String(uid), RtcRole.PUBLISHER, project.expire,
            project.expire
        ),
    rtm2: ([, uid]) =>
        RtmTokenBuilder.buildTokenWithPermissions(
            project.app_id, project.certificate, String(uid), permissions, project.expire
        ),
    publisher_006: ([channel, uid]) =>
        RtcTokenBuilder006.buildTokenWithUid(project.app_id, project.certificate, channel, uid, 1, expires()),
    subscriber_006: ([channel, uid]) =>
        RtcTokenBuilder006.buildTokenWithUid(project.app_id, project.certificate, channel, uid, 2, expires())
}

const expires = () => Math.floor(Date.now() / 1000) + project.expire

const isSigned = token => {
    const parsed = new AccessToken2()
    return parsed.from_string(token) && parsed.verifySignature(project.certificate)
}

const timed = work => {
    const cpu = process.cpuUsage()
    const start = process.hrtime.bigint()
    const result = work()
    const seconds = Number(process.hrtime.bigint() - start) / 1e9
    const { user, system } = process.cpuUsage(cpu)
    return { count: result.length, seconds, cpu: (user + system) / 1e6 }
}

// The clock and the random numbers of the library, for as long as `work` runs.
const at = (issueTs, salt, work) => {
    const kept = [Math.random, Date.now, Date.prototype.getTime, Date.prototype.valueOf]
    Math.random = () => salt
    Date.now = () => issueTs * 1000
    Date.prototype.getTime = Date.prototype.valueOf = Date.now
    try {
        return work()
    } finally {
        ;[Math.random, Date.now, Date.prototype.getTime, Date.prototype.valueOf] = kept
    }
}

const answers = {
    hello(request) {
        project = request
        rows = request.rows
        permissions = new Rtm2Permissions()
        for (const [resource, granted] of Object.entries(request.permissions))
            for (const [permission, names] of Object.entries(granted)) permissions.add(resource, permission, names)
        return { version: process.version, zlib: process.versions.zlib }
    },
    single({ case: name, count }) {
        const mint = cases[name]
        return timed(() => Array.from({ length: count }, (_, i) => mint(rows[i % rows.length])))
    },
    load(request) {
        tokens = request.tokens
        return {}
    },
    read({ count }) {
        return timed(() => Array.from({ length: count }, (_, i) => isSigned(tokens[i % tokens.length])))
    },
    are_signed: request => request.tokens.map(isSigned),
    pinned({ case: name, count, issue_ts: issueTs, salts }) {
        return [
            rows.slice(0, count).map((row, i) => {
                // 007 draws floor(random * 99999999) + 1 for each token; 006 draws
                // floor(random * 0xffffffff) once, when it is loaded.
                if (!name.endsWith('_006')) return at(issueTs, (salts[i] - 0.5) / 99999999, () => cases[name](row))
                return at(issueTs, (salts[i] + 0.5) / 0xffffffff, () => {
                    for (const file of Object.keys(load.cache))
                        if (file.startsWith(modules)) delete load.cache[file]
                    RtcTokenBuilder006 = load('agora-token/src/RtcTokenBuilder').RtcTokenBuilder
                    return cases[name](row)
                })
            })
        ]
    },
    latency({ calls }) {
        const taken = new Float64Array(calls)
        const start = process.hrtime.bigint()
        for (let i = 0; i < calls; i++) {
            const before = process.hrtime.bigint()
            cases.publisher(rows[i % rows.length])
            taken[i] = Number(process.hrtime.bigint() - before)
        }
        const seconds = Number(process.hrtime.bigint() - start) / 1e9
        taken.sort()
        const share = part => taken[Math.floor(part * calls)]
        return {
            p50: share(0.5), p90: share(0.9), p99: share(0.99), 'p99.9': share(0.999), max: taken[calls - 1], seconds
        }
    }
}

readline.createInterface({ input: process.stdin }).on('line', line => {
    const request = JSON.parse(line)
    process.stdout.write(JSON.stringify(answers[request.do](request)) + '\n')
})

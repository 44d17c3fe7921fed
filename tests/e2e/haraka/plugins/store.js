'use strict';
// Known users; mail for them into files, the rest to queue/smtp_forward.
// Settings: config/store.json.  A message is a file before its 250 is said.
const fs = require('node:fs');
const path = require('node:path');
const DSN = require('haraka-dsn');

exports.register = function () {
    this.cfg = this.config.get('store.json');
    this.users = new Set(this.cfg.users);
    this.own = [this.cfg.domain, `tapped.${this.cfg.domain}`];
};

exports.hook_mail = (next) => next(OK);

exports.hook_rcpt = function (next, connection, params) {
    const { user, host } = params[0];
    const { domain, recipients } = this.cfg;

    if (connection.transaction.rcpt_to.length > recipients)
        return next(DENYSOFT, DSN.proto_too_many_rcpts('Too many recipients'));
    if (this.own.includes(host))
        return this.users.has(user) ? next(OK) :
            next(DENY, DSN.no_such_user('No such user here'));
    if (host === `d0.${domain}` || host === `relay.${domain}`)
        return next(OK);
    next(DENY, 'Relaying denied');
};

exports.hook_queue = function (next, connection) {
    const txn = connection.transaction;
    const { domain, mail } = this.cfg;

    if (txn.rcpt_to[0].host === `relay.${domain}`) return next();
    const file = path.join(mail, txn.uuid);
    const out = fs.createWriteStream(file);
    out.once('error', () => next(DENYSOFT, 'Not stored'));
    out.once('close', () => {
        for (const to of txn.rcpt_to) {
            const box = path.join(mail, to.host,
                this.own.includes(to.host) ? to.user : 'all', 'new');
            fs.mkdirSync(box, { recursive: true });
            fs.linkSync(file, path.join(box, txn.uuid));
        }
        fs.unlinkSync(file);
        next(OK);
    });
    txn.message_stream.pipe(out, { line_endings: '\r\n' });
};

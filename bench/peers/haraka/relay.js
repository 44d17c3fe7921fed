'use strict'
// Takes mail for anywhere from anybody: the bench's network is its own.
exports.hook_rcpt = (next, connection) => {
    connection.relaying = true
    next(OK)
}

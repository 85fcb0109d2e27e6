// Package native runs real servers, PostgreSQL and RabbitMQ, as child processes
// of this project's own: on loopback, in a folder of the caller's, with ports,
// users and passwords of the caller's, beside whatever the machine runs already
// and without touching it. It is what the native stack and the tests stand on
// where there is no Docker. Linux only; the programs come from Debian's or
// Ubuntu's packages (see Install).
//
// A process is either bound, and then ends with the process that started it
// (even when that one is killed with SIGKILL), or detached, and then lives on and
// is found again by its pid file.
package native

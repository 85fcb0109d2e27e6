// Package testenv gives tests real servers: an empty PostgreSQL database or RabbitMQ vhost of their own, and servers
// that a test may stop and kill.
//
// The servers behind them are, in this order:
//
//   - the ones named by TEST_POSTGRES_URL (a superuser's URL) and TEST_AMQP_URL
//     with TEST_AMQP_ADMIN_URL (the broker's management API), which `make test` sets, so
//     that all modules share one of each;
//   - those that the repository's stack/cmd/testservers starts for this test program: containers, where a Docker engine
//     answers that has the images postgres:16 and rabbitmq:3-management, else programs of this machine. It is a program of its own, so
//     that no service's module depends on what starts servers.
//
// A test program says once on stderr which it uses. Where there is none, tests
// fail and say what to install; they never skip. Servers that were started for a test
// program, and their data, go when it ends, however it ends.
package testenv

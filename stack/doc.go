// Package stack runs TicketRemaster natively: a PostgreSQL cluster per service, a broker, the sandbox that stands in
// for SMU and Stripe, the five services and the gateway, each a process of its own. `make demo` keeps one under .run/;
// end-to-end tests, benches and recovery tests boot private ones, with ports and a folder of their own, and kill and
// restart their parts one by one.
package stack

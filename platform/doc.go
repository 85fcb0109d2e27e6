// Package platform is the root of what every service shares and what has no
// business meaning: configuration, errors, serving, calling, databases, the
// broker, money, and real servers for tests. It knows no ticket noun and imports no service.
package platform

// Package sandbox stands in for the two services outside the system, for development, demos and tests: SMU's
// Notification API, which sends one-time codes (here into an inbox that anyone can read), and Stripe's side of a
// top-up, which takes payment intents and sends signed webhooks. Its state is lost when it ends. It refuses to start in
// production, or with a key of Stripe's that is not a test key.
package sandbox

package stack

import (
	"maps"
	"strconv"
	"strings"
)

// A part is one process of the stack. The parts are called as in docker-compose.yml.
type part struct {
	name   string
	needs  []string // parts that are ready before this one starts
	ports  []string // names of its ports; the first one is asked for readiness
	binary string   // Go package of its program, below the root; empty for servers that are not ours

	database *database                      // for a PostgreSQL cluster
	env      func(*Stack) map[string]string // for a program of ours
	ready    func(*Stack, *instance) string // URL that answers 200 once it is ready
}

type database struct{ name, user, password string } // password: its name among the secrets

// ports and their defaults. Each can be set by an environment variable of its
// name; a default that is taken is replaced by a free one, but for the gateway's.
var defaultPorts = map[string]int{
	"PORT":                   8000, // the gateway
	"SANDBOX_PORT":           8025,
	"USER_SERVICE_PORT":      5000,
	"ORDER_SERVICE_PORT":     5001,
	"EVENT_SERVICE_PORT":     5002,
	"ORCHESTRATOR_PORT":      5003,
	"INVENTORY_GRPC_PORT":    5051, // in containers 50051 and 50052, which here the kernel may have given to an outgoing connection
	"INVENTORY_HTTP_PORT":    5052,
	"SEATS_DB_PORT":          5541,
	"USERS_DB_PORT":          5542,
	"ORDERS_DB_PORT":         5543,
	"EVENTS_DB_PORT":         5544,
	"SAGAS_DB_PORT":          5545,
	"BROKER_PORT":            5682,
	"BROKER_MANAGEMENT_PORT": 15682,
}

// The whole stack. This is the only list of its parts.
var parts = []part{
	{name: "seats-db", ports: []string{"SEATS_DB_PORT"}, database: &database{"seats_db", "inventory_user", "INVENTORY_DB_PASS"}},
	{name: "users-db", ports: []string{"USERS_DB_PORT"}, database: &database{"users_db", "user_svc_user", "USER_DB_PASS"}},
	{name: "orders-db", ports: []string{"ORDERS_DB_PORT"}, database: &database{"orders_db", "order_svc_user", "ORDER_DB_PASS"}},
	{name: "events-db", ports: []string{"EVENTS_DB_PORT"}, database: &database{"events_db", "event_svc_user", "EVENT_DB_PASS"}},
	{name: "sagas-db", ports: []string{"SAGAS_DB_PORT"}, database: &database{"sagas_db", "saga_user", "SAGA_DB_PASS"}},
	{name: "rabbitmq", ports: []string{"BROKER_PORT", "BROKER_MANAGEMENT_PORT"}},

	{name: "sandbox", ports: []string{"SANDBOX_PORT"}, binary: "stack/cmd/sandbox", ready: health,
		env: func(s *Stack) map[string]string {
			return merge(s.secret("SMU_API_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"), map[string]string{
				"WEBHOOK_URL": s.URL() + "/webhooks/stripe",
			})
		}},
	{name: "inventory-service", ports: []string{"INVENTORY_HTTP_PORT", "INVENTORY_GRPC_PORT"}, needs: []string{"seats-db", "rabbitmq"},
		binary: "inventory-service/cmd/inventory-service", ready: health,
		env: func(s *Stack) map[string]string {
			return merge(s.reach("seats-db"), s.broker(), s.secret("INVENTORY_TOKEN"))
		}},
	{name: "user-service", ports: []string{"USER_SERVICE_PORT"}, needs: []string{"users-db"},
		binary: "user-service/cmd/user-service", ready: health,
		env: func(s *Stack) map[string]string {
			return merge(s.reach("users-db"),
				s.secret("USER_TOKEN", "JWT_SECRET", "TOTP_ENCRYPTION_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "SMU_API_KEY"),
				map[string]string{"STRIPE_API_URL": s.SandboxURL(), "SMU_API_URL": s.SandboxURL()})
		}},
	{name: "order-service", ports: []string{"ORDER_SERVICE_PORT"}, needs: []string{"orders-db"},
		binary: "order-service/cmd/order-service", ready: health,
		env: func(s *Stack) map[string]string { return merge(s.reach("orders-db"), s.secret("ORDER_TOKEN")) }},
	{name: "event-service", ports: []string{"EVENT_SERVICE_PORT"}, needs: []string{"events-db"},
		binary: "event-service/cmd/event-service", ready: health,
		env: func(s *Stack) map[string]string { return merge(s.reach("events-db"), s.secret("EVENT_TOKEN")) }},
	{name: "orchestrator-service", ports: []string{"ORCHESTRATOR_PORT"}, needs: []string{"sagas-db", "rabbitmq"},
		binary: "orchestrator-service/cmd/orchestrator-service", ready: health,
		env: func(s *Stack) map[string]string {
			return merge(s.reach("sagas-db"), s.broker(),
				s.secret("JWT_SECRET", "QR_ENCRYPTION_KEY", "INVENTORY_TOKEN", "USER_TOKEN", "ORDER_TOKEN", "EVENT_TOKEN"),
				map[string]string{
					"INVENTORY_SERVICE_URL": s.addresses("", "INVENTORY_GRPC_PORT"),
					"USER_SERVICE_URL":      s.addresses("http://", "USER_SERVICE_PORT"),
					"ORDER_SERVICE_URL":     s.addresses("http://", "ORDER_SERVICE_PORT"),
					"EVENT_SERVICE_URL":     s.addresses("http://", "EVENT_SERVICE_PORT"),
				})
		}},
	{name: "api-gateway", ports: []string{"PORT"}, binary: "api-gateway/cmd/kong-standin", ready: health,
		needs: []string{"user-service", "orchestrator-service"}, // for its own /health, which is the orchestrator's
		env: func(s *Stack) map[string]string {
			env := merge(s.secret("JWT_SECRET"), map[string]string{
				"USER_SERVICE_URL": s.addresses("http://", "USER_SERVICE_PORT"),
				"ORCHESTRATOR_URL": s.addresses("http://", "ORCHESTRATOR_PORT"),
			})
			if s.options.Replicas > 1 {
				env["UPSTREAM_RETRIES"], env["UPSTREAM_PROBE_SECONDS"] = "1", "1"
			}
			return env
		}},
}

// passedOn are variables of our own environment that services get too.
var passedOn = []string{
	"LOG_LEVEL", "DRAIN_PAUSE", "HOLD_TTL", "MAX_HOLDS", "TRANSFER_TTL", "SWEEP_INTERVAL", "SWEEP_GRACE", "CLOCK_SKEW", "DOORS_OPEN_BEFORE", "BCRYPT_COST", "DB_MAX_CONNS",
	"RATE_LIMIT", "RATE_LIMIT_LOGIN", "RATE_LIMIT_OTP", "RATE_LIMIT_GATE", "SMS_PER_ADDRESS_PER_HOUR", "CORS_ORIGINS", "GATEWAY_API_KEY", "SANDBOX_FIXED_OTP", "GOMAXPROCS",
}

// replicated reports whether there may be several of the part: it is one of our services.
func (p part) replicated() bool { return strings.HasSuffix(p.name, "-service") }

// addresses are those of all replicas that Options asks for, as a comma list.
func (s *Stack) addresses(scheme, port string) string {
	var all []string
	for n := range max(s.options.Replicas, 1) {
		all = append(all, scheme+(&instance{stack: s, number: n + 1}).address(port))
	}
	return strings.Join(all, ",")
}

func health(_ *Stack, i *instance) string { return "http://" + i.address(i.part.ports[0]) + "/health" }

// reach has the variables by which a service finds its database.
func (s *Stack) reach(name string) map[string]string {
	p := s.parts[name]
	db := p.database
	at := map[string]string{"DB_HOST": "127.0.0.1", "DB_PORT": strconv.Itoa(s.ports[p.ports[0]])}
	if hosts := s.options.Elsewhere[name]; hosts != "" {
		at = map[string]string{"DB_HOSTS": hosts}
	}
	return merge(s.secret(db.password), at, map[string]string{"DB_NAME": db.name, "DB_USER": db.user})
}

// broker has the variables by which a service finds the broker.
func (s *Stack) broker() map[string]string {
	return merge(s.secret("RABBITMQ_USER", "RABBITMQ_PASS"), map[string]string{
		"RABBITMQ_HOST": "127.0.0.1", "RABBITMQ_PORT": strconv.Itoa(s.ports["BROKER_PORT"]),
	})
}

// secret picks secrets by their names.
func (s *Stack) secret(names ...string) map[string]string {
	picked := map[string]string{}
	for _, name := range names {
		picked[name] = s.secrets[name]
	}
	return picked
}

func merge(all ...map[string]string) map[string]string {
	merged := map[string]string{}
	for _, one := range all {
		maps.Copy(merged, one)
	}
	return merged
}

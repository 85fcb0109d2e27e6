package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/golang-jwt/jwt/v5"

	"ticketremaster/stack/client"
)

// columns are who calls, in the order of the table.
var columns = []string{"nobody", "customer", "other", "staff", "admin", "service", "foreign", "expired", "revoked", "wrong key", "alg none"}

// callers has a bearer token for each column but the two of services, which depend on the row.
type callers map[string]string

// logInAll logs in one caller per column. Each endpoint is called about what belongs to the customer.
func logInAll(t *testing.T) (customer *client.Person, all callers) {
	t.Helper()
	customer = person(t, 100_00)
	gone := relogin(t, customer)
	a, err := gone.Post(t.Context(), "/auth/logout", nil)
	must(t, a, err, http.StatusOK)
	everywhere(t, "the logout is known", func() bool {
		a, err := gone.Get(t.Context(), "/tickets")
		return err == nil && a.Status == http.StatusUnauthorized
	})
	claims := claimsOf(t, customer.Access)
	claims["role"] = "admin" // a role worth forging
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	return customer, callers{
		"nobody": "", "customer": customer.Access, "other": person(t, 0).Access, "staff": employee(t, "staff").Access, "admin": employee(t, "admin").Access,
		"expired": expired(t, customer).Access, "revoked": gone.Access, "wrong key": forged, "alg none": none,
	}
}

// table collects the outcome of each cell, and fails where it is not the expected one.
type table struct {
	t    *testing.T
	rows []string
}

// check calls once per column. want returns the expected status, or "may" for one that is no refusal of the caller.
func (b *table) check(name string, want func(column string) string, ask func(column string) string) {
	b.t.Helper()
	cells := []string{name}
	for _, column := range columns {
		got, wanted := ask(column), want(column)
		fits := got == wanted
		if wanted == "may" {
			fits = got != "" && !slices.Contains([]string{"401", "403", "404", "Unauthenticated", "PermissionDenied", "Unavailable"}, got) && !strings.HasPrefix(got, "5")
		}
		if !fits {
			b.t.Errorf("%s as %s: %s, want %s", name, column, got, wanted)
			got += " (!)"
		}
		cells = append(cells, got)
	}
	b.rows = append(b.rows, strings.Join(cells, "\t"))
}

func (b *table) print(title string) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, title+"\t"+strings.Join(columns, "\t"))
	slices.Sort(b.rows)
	for _, r := range b.rows {
		fmt.Fprintln(w, r)
	}
	w.Flush()
	b.t.Logf("%d cells\n%s", len(b.rows)*len(columns), text.String())
}

// logged is the expectation for an endpoint of logged-in users; strangers has the statuses of others than the owner, by
// column.
func logged(strangers map[string]string) func(string) string {
	return func(column string) string {
		switch column {
		case "customer", "other", "staff", "admin":
			if s, ok := strangers[column]; ok {
				return s
			}
			return "may"
		}
		return "401"
	}
}

func anyone(string) string { return "may" }
func noOne(string) string  { return "401" } // with an access token or a service's secret

// probe is a call of one public endpoint about what belongs to the customer.
type probe struct {
	path string // the document's, filled
	body any
	want func(string) string
}

func probes(t *testing.T, customer *client.Person) map[string]probe {
	t.Helper()
	e := newEvent(t, 2)
	owned, order := e.Seats[0].ID, buy(t, customer, e.Seats[0].ID)
	friend := person(t, 0)
	offer := object{"seat_id": owned, "seller_user_id": customer.ID, "buyer_user_id": friend.ID, "credits_amount": 99_999}
	a, err := customer.Post(t.Context(), "/transfer/initiate", object{
		"seat_id": e.Seats[1].ID, "seller_user_id": customer.ID, "buyer_user_id": friend.ID, "credits_amount": 1, // a seat that nobody has
	})
	transfer := detail(t, refused(t, a, err, http.StatusForbidden, "NOT_SEAT_OWNER"), "transfer_id")
	topUp, err := customer.Post(t.Context(), "/credits/topup", object{"amount": 5})
	must(t, topUp, err, http.StatusOK)
	about := object{"transfer_id": transfer, "reason": "to see", "seller_otp": "123456"}

	forbidden := map[string]string{"other": "403", "staff": "403", "admin": "403"}
	hidden := map[string]string{"other": "404", "staff": "404", "admin": "404"}
	butAdmin := map[string]string{"other": "403", "staff": "403"}
	unknown := map[string]string{"customer": "404", "other": "404", "staff": "404", "admin": "404"}
	staff, admins := map[string]string{"customer": "403", "other": "403"}, map[string]string{"customer": "403", "other": "403", "staff": "403"}
	mine := object{"user_id": customer.ID}
	with := func(o object, key string, value any) object { o = maps.Clone(o); o[key] = value; return o }
	return map[string]probe{
		"POST /auth/register":                              {"", object{}, anyone},
		"POST /auth/verify-registration":                   {"", object{}, anyone},
		"POST /auth/resend-otp":                            {"", object{}, anyone},
		"POST /auth/login":                                 {"", object{}, anyone},
		"POST /auth/password/reset-request":                {"", object{}, anyone},
		"POST /auth/password/reset":                        {"", object{}, anyone},
		"POST /auth/refresh":                               {"", nil, noOne}, // only a refresh token, which contract_test.go has
		"POST /auth/password/change":                       {"", object{}, logged(nil)},
		"POST /auth/totp/enroll":                           {"", object{}, logged(nil)},
		"POST /auth/totp/activate":                         {"", object{}, logged(nil)},
		"POST /auth/totp/remove":                           {"", object{}, logged(nil)},
		"POST /webhooks/stripe":                            {"", object{}, anyone}, // the signature decides
		"GET /users/{user_id}":                             {"/users/" + customer.ID, nil, logged(butAdmin)},
		"PATCH /users/{user_id}":                           {"/users/" + customer.ID, object{}, logged(forbidden)},
		"GET /credits/balance":                             {"", nil, logged(nil)},
		"GET /credits/transactions":                        {"", nil, logged(nil)},
		"POST /credits/topup":                              {"", object{}, logged(nil)},
		"GET /credits/topups/{topup_id}":                   {"/credits/topups/" + topUp.Text("topup_id"), nil, logged(hidden)},
		"GET /events":                                      {"", nil, anyone},
		"GET /events/{event_id}":                           {"/events/" + e.ID, nil, anyone},
		"GET /health":                                      {"", nil, anyone},
		"GET /docs":                                        {"", nil, anyone},
		"GET /docs/openapi.json":                           {"", nil, anyone},
		"POST /reserve":                                    {"", with(mine, "seat_id", owned), logged(forbidden)},
		"POST /pay":                                        {"", object{"order_id": order}, logged(hidden)},
		"POST /verify-otp":                                 {"", with(mine, "otp_code", "123456"), logged(forbidden)},
		"GET /orders":                                      {"", nil, logged(nil)},
		"GET /orders/{order_id}":                           {"/orders/" + order, nil, logged(hidden)},
		"POST /orders/{order_id}/cancel":                   {"/orders/" + order + "/cancel", nil, logged(hidden)},
		"GET /tickets":                                     {"", nil, logged(nil)},
		"GET /tickets/sold":                                {"", nil, logged(nil)},
		"GET /tickets/{seat_id}/qr":                        {"/tickets/" + owned + "/qr", nil, logged(forbidden)},
		"GET /tickets/{seat_id}/history":                   {"/tickets/" + owned + "/history", nil, logged(butAdmin)},
		"GET /transfers":                                   {"", nil, logged(nil)},
		"GET /transfers/{transfer_id}":                     {"/transfers/" + transfer, nil, logged(butAdmin)},
		"POST /transfer/initiate":                          {"", offer, logged(forbidden)},
		"POST /transfer/confirm":                           {"", about, logged(forbidden)},
		"POST /transfer/dispute":                           {"", about, logged(forbidden)},
		"POST /transfer/withdraw":                          {"", about, logged(forbidden)},
		"POST /transfer/reverse":                           {"", about, logged(butAdmin)},
		"POST /transfer/reject":                            {"", about, logged(admins)},
		"GET /marketplace/listings":                        {"", nil, anyone},
		"GET /marketplace/listings/mine":                   {"", nil, logged(nil)},
		"POST /marketplace/list":                           {"", object{"seat_id": owned, "asking_price": 1}, logged(forbidden)},
		"POST /marketplace/buy":                            {"", object{"listing_id": "R-1001"}, logged(unknown)},
		"POST /marketplace/approve":                        {"", object{"listing_id": "R-1001", "otp_code": "123456"}, logged(unknown)},
		"POST /marketplace/cancel":                         {"", object{"listing_id": "R-1001"}, logged(unknown)},
		"POST /marketplace/withdraw":                       {"", object{"listing_id": "R-1001"}, logged(unknown)},
		"POST /verify":                                     {"", object{"qr_payload": "no ticket", "hall_id": "H1"}, logged(staff)},
		"POST /admin/events":                               {"", object{}, logged(admins)},
		"GET /admin/events":                                {"", nil, logged(admins)},
		"GET /admin/events/{event_id}":                     {"/admin/events/" + e.ID, nil, logged(admins)},
		"PATCH /admin/events/{event_id}":                   {"/admin/events/" + e.ID, object{}, logged(admins)},
		"POST /admin/events/{event_id}/publish":            {"/admin/events/" + e.ID + "/publish", object{}, logged(admins)},
		"POST /admin/events/{event_id}/postpone":           {"/admin/events/" + e.ID + "/postpone", object{}, logged(admins)},
		"GET /admin/events/{event_id}/changes":             {"/admin/events/" + e.ID + "/changes", nil, logged(admins)},
		"POST /admin/events/{event_id}/block":              {"/admin/events/" + e.ID + "/block", object{}, logged(admins)},
		"POST /admin/events/{event_id}/release":            {"/admin/events/" + e.ID + "/release", object{}, logged(admins)},
		"POST /admin/events/{event_id}/rows":               {"/admin/events/" + e.ID + "/rows", object{}, logged(admins)},
		"POST /admin/events/{event_id}/cancel/preview":     {"/admin/events/" + e.ID + "/cancel/preview", object{}, logged(admins)},
		"POST /admin/events/{event_id}/cancel":             {"/admin/events/" + e.ID + "/cancel", object{}, logged(admins)},
		"GET /admin/events/{event_id}/cancel":              {"/admin/events/" + e.ID + "/cancel", nil, logged(map[string]string{"customer": "403", "other": "403", "staff": "403", "admin": "404"})},
		"GET /admin/payments":                              {"", nil, logged(admins)},
		"POST /admin/payments/{payment_intent_id}/resolve": {"/admin/payments/pi_none/resolve", object{}, logged(admins)},
		"GET /admin/orders":                                {"", nil, logged(admins)},
		"POST /admin/orders/{order_id}/refund":             {"/admin/orders/" + order + "/refund", object{}, logged(admins)},
		"POST /tickets/{seat_id}/refund":                   {"/tickets/" + owned + "/refund", nil, logged(forbidden)},
		"GET /admin/events/{event_id}/dashboard":           {"/admin/events/" + e.ID + "/dashboard", nil, logged(admins)},
		"GET /admin/events/{event_id}/scans":               {"/admin/events/" + e.ID + "/scans", nil, logged(admins)},
		"GET /admin/sagas":                                 {"/admin/sagas?status=PARKED", nil, logged(admins)},
		"POST /admin/sagas/{saga_id}/resume":               {"/admin/sagas/" + customer.ID + "/resume", object{}, logged(admins)},
		"POST /admin/sagas/{saga_id}/compensate":           {"/admin/sagas/" + customer.ID + "/compensate", object{}, logged(admins)},
		"GET /admin/messages":                              {"", nil, logged(admins)},
		"POST /admin/messages/replay":                      {"", object{}, logged(admins)},
		"POST /admin/messages/drop":                        {"", object{}, logged(admins)},
		"GET /admin/users":                                 {"", nil, logged(admins)},
		"PATCH /admin/users/{user_id}":                     {"/admin/users/" + customer.ID, object{}, logged(admins)},
		"POST /auth/logout":                                {"", nil, logged(nil)}, // last: it ends the callers' sessions
		"POST /tickets/verify":                             {"", object{}, logged(staff)},
		"GET /gate":                                        {"", nil, anyone},
		"GET /gate/events":                                 {"", nil, logged(staff)},
		"GET /gate/keys":                                   {"", nil, logged(staff)},
		"GET /gate/{event_id}":                             {"/gate/" + e.ID, nil, logged(staff)},
		"GET /gate/{event_id}/tickets":                     {"/gate/" + e.ID + "/tickets?seat=A1", nil, logged(staff)},
		"POST /gate/{event_id}/entries":                    {"/gate/" + e.ID + "/entries", object{}, logged(staff)},
		"POST /gate/{event_id}/undo":                       {"/gate/" + e.ID + "/undo", object{}, logged(staff)},
		"GET /gate/{event_id}/manifest":                    {"/gate/" + e.ID + "/manifest", nil, logged(staff)},
		"POST /gate/{event_id}/scans":                      {"/gate/" + e.ID + "/scans", object{}, logged(staff)},
		"GET /gate/{event_id}/conflicts":                   {"/gate/" + e.ID + "/conflicts", nil, logged(staff)},
		"POST /tickets/{seat_id}/offline":                  {"/tickets/" + owned + "/offline", nil, logged(forbidden)},
		"GET /admin/staff/{user_id}/assignments":           {"/admin/staff/" + customer.ID + "/assignments", nil, logged(admins)},
		"PUT /admin/staff/{user_id}/assignments":           {"/admin/staff/" + customer.ID + "/assignments", object{"venue_ids": "none"}, logged(admins)},
		"POST /admin/tickets/{seat_id}/allow-entry":        {"/admin/tickets/" + owned + "/allow-entry", object{}, logged(admins)},
	}
}

func detail(t *testing.T, a client.Answer, name string) string {
	t.Helper()
	names := map[string]string{}
	if err := readField(a, "^details."+name+">x", names); err != nil {
		t.Fatal(err)
	}
	return names["x"]
}

// Every public endpoint as every caller, through the gateway and, on a stack of our own, at the service itself: no
// service relies on the gateway's check.
func TestWhoMayCallWhatInPublic(t *testing.T) {
	servers := map[string]func(path string) string{"gateway": func(string) string { return app.Gateway }}
	if own != nil {
		servers["service"] = func(path string) string {
			if regexp.MustCompile(`^/(auth|users|credits|webhooks)/`).MatchString(path) {
				return "http://" + addr(t, "user-service")
			}
			return "http://" + addr(t, "orchestrator-service")
		}
	}
	for server, at := range servers {
		t.Run(server, func(t *testing.T) {
			customer, tokens := logInAll(t)
			tokens["service"], tokens["foreign"] = secretOf(t, "USER_TOKEN"), secretOf(t, "ORDER_TOKEN")
			all := probes(t, customer)
			var names []string
			for path, item := range described.doc.Paths.Map() {
				for method := range item.Operations() {
					name := method + " " + path
					if _, ok := all[name]; !ok {
						t.Errorf("%s is not tested", name)
					}
					if name != "POST /auth/logout" {
						names = append(names, name)
					}
				}
			}
			b := &table{t: t}
			for _, name := range append(slices.Sorted(slices.Values(names)), "POST /auth/logout") {
				p := all[name]
				method, path, _ := strings.Cut(name, " ")
				if p.path != "" {
					path = p.path
				}
				direct := &client.App{Gateway: at(path), HTTP: app.HTTP, Seen: described.saw, APIKey: app.APIKey}
				b.check(name, p.want, func(column string) string {
					a, err := direct.Do(t.Context(), client.Call{Method: method, Path: path, Body: p.body, Token: tokens[column]})
					if err != nil {
						return err.Error()
					}
					return fmt.Sprint(a.Status)
				})
			}
			b.print("at the " + server)
		})
	}
}

package sandbox

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"time"
)

// pages are the sandbox's two pages. They load nothing and have no script; the lists reload by themselves.
var pages = template.Must(template.New("").Parse(`
{{define "top"}}<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%23a3660e' d='M1 3h14v9H6l-3 3v-3H1z'/%3E%3C/svg%3E">
<style>
:root{--ink:#1d2433;--soft:#566074;--line:#d6dce7;--back:#fff;--wash:#f4f6fa;--accent:#2550c4}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8f1;--soft:#a6b0c3;--line:#343e53;--back:#131824;--wash:#1b2231;--accent:#9db6ff}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:1.5rem auto;padding:0 1rem;color:var(--ink);background:var(--back);overflow-wrap:anywhere}
a{color:var(--accent)} .soft,th{color:var(--soft)} h2{margin-top:2.5rem}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top;font-weight:normal} th{white-space:nowrap}
.short{white-space:nowrap} code{font-size:1.1em}
button{font:inherit;padding:.5rem 1.2rem;margin:0 .5rem .5rem 0;color:var(--ink);background:var(--wash);border:1px solid var(--soft);border-radius:6px;cursor:pointer}
form{display:inline}
@media (max-width:40rem){thead{display:none}tr{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.6rem 0;border-bottom:1px solid var(--line)}td{border:0;padding:0}td.rest{flex-basis:100%}}
</style>{{end}}

{{define "inbox"}}{{template "top"}}<title>Sandbox</title><meta http-equiv="refresh" content="5">
<h1>Sandbox</h1>
<p>It stands in for SMU's Notification API and for Stripe: no message is sent and no money moves. Newest first; the page reloads by itself.</p>
<h2>Messages</h2>
{{with .Phone}}<p>Only those to {{.}}; <a href="/">all</a>.</p>{{end}}
<table><thead><tr><th>Time (UTC)<th>Phone<th>Code<th>Message</thead><tbody>
{{range .Messages}}<tr><td class="short">{{.SentAt.Format "15:04:05"}}<td class="short"><a href="/?phone={{.PhoneNumber}}">{{.PhoneNumber}}</a><td class="short"><code>{{.OTPCode}}</code><td class="rest">{{.Message}}
{{else}}<tr><td colspan="4">None yet.{{end}}</table>
{{if .MoreMessages}}<p class="soft">{{.MoreMessages}} older ones are in <a href="/inbox">/inbox</a>.</p>{{end}}
<h2 id="payments">Payments</h2>
<table><thead><tr><th>Time (UTC)<th>Amount<th>State<th>Payment intent</thead><tbody>
{{range .Payments}}<tr><td class="short">{{.Created}}<td class="short">{{.Amount}} {{.Currency}}<td class="short">{{.Status}}{{with .Refunded}}, refunded {{.}}{{end}}<td class="rest"><a href="/pay/{{.ID}}">{{.ID}}</a>
{{else}}<tr><td colspan="4">None yet.{{end}}</table>
{{if .MorePayments}}<p class="soft">{{.MorePayments}} older ones are not shown.</p>{{end}}
{{end}}

{{define "pay"}}{{template "top"}}<title>Sandbox payment</title>
<p><a href="/#payments">All payments</a></p>
<h1>Sandbox payment</h1>
<p>{{.Amount}} {{.Currency}} · {{.Status}}{{with .Refunded}} · refunded {{.}}{{end}}</p>
<p class="soft">{{.ID}}</p>
{{if eq .Status "succeeded"}}<p>Paid. Stripe's webhook has been sent.</p>
<form method="post" action="/refund/{{.ID}}"><button>Refund</button></form>
{{if .Refunded}}<form method="post" action="/fail-refund/{{.ID}}"><button>Let the last refund fail</button></form>{{end}}
<form method="post" action="/chargeback/{{.ID}}"><button>Charge back</button></form>
{{else}}<form method="post" action="/pay/{{.ID}}"><button>Pay</button></form>
<form method="post" action="/decline/{{.ID}}"><button>Decline</button></form>{{end}}
<p>No card is asked for and no money moves: this stands in for Stripe.</p>{{end}}
`))

// listed is how many messages, and how many payments, the page shows.
const listed = 50

// payment is a payment intent as the pages show it.
type payment struct {
	ID, Status, Currency, Amount, Created string
	Refunded                              string // "" if nothing was
}

func (i *intent) payment() payment {
	p := payment{ID: i.id, Status: i.status, Currency: i.currency, Amount: decimal(i.amount), Created: time.Unix(i.created, 0).UTC().Format("15:04:05")}
	if i.refunded > 0 {
		p.Refunded = decimal(i.refunded)
	}
	return p
}

func (s *Server) inboxPage(w http.ResponseWriter, r *http.Request) {
	phone := r.URL.Query().Get("phone")
	messages, intents := s.messages(phone), s.stripe.newest()
	show(w, "inbox", object{
		"Phone": phone, "Messages": messages[:min(len(messages), listed)], "MoreMessages": max(0, len(messages)-listed),
		"Payments": intents[:min(len(intents), listed)], "MorePayments": max(0, len(intents)-listed),
	})
}

// newest lists all payments, newest first.
func (p *payments) newest() []payment {
	p.mu.Lock()
	defer p.mu.Unlock()
	intents := slices.SortedFunc(maps.Values(p.intents), func(a, b *intent) int { return cmp.Compare(b.number, a.number) })
	all := make([]payment, len(intents))
	for n, i := range intents {
		all[n] = i.payment()
	}
	return all
}

func (s *Server) payPage(w http.ResponseWriter, r *http.Request) {
	s.stripe.mu.Lock()
	found := s.stripe.byIDOrSecret(r.PathValue("id"))
	if found == nil {
		s.stripe.mu.Unlock()
		http.Error(w, "no such payment intent", http.StatusNotFound)
		return
	}
	data := found.payment()
	s.stripe.mu.Unlock()
	show(w, "pay", data)
}

func show(w http.ResponseWriter, page string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	_ = pages.ExecuteTemplate(w, page, data) // the caller is gone
}

func decimal(cents int64) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

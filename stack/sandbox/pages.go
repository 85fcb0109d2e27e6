package sandbox

import (
	"fmt"
	"html/template"
	"net/http"
)

const style = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}
code{font-size:1.2em}button{font:inherit;padding:.4rem 1rem}</style>`

var inboxTemplate = template.Must(template.New("inbox").Parse(`<!doctype html><title>Sandbox inbox</title><meta http-equiv="refresh" content="5">` + style + `
<h1>Sandbox inbox</h1>
<p>What phones would have received. Newest first.{{if .Phone}} Only {{.Phone}}; <a href="/">all</a>.{{end}}</p>
<table><tr><th>Time (UTC)<th>Phone<th>Code<th>Message</tr>
{{range .Messages}}<tr><td>{{.SentAt.Format "15:04:05"}}<td><a href="/?phone={{.PhoneNumber}}">{{.PhoneNumber}}</a><td><code>{{.OTPCode}}</code><td>{{.Message}}</tr>
{{else}}<tr><td colspan="4">Nothing yet.</tr>{{end}}</table>`))

var payTemplate = template.Must(template.New("pay").Parse(`<!doctype html><title>Sandbox payment</title>` + style + `
<h1>Sandbox payment</h1>
<p>{{.Amount}} {{.Currency}} · {{.Status}}{{if .Refunded}} · refunded {{.Refunded}}{{end}}</p>
{{if eq .Status "succeeded"}}<p>Paid. Stripe's webhook has been sent.</p>
<form method="post" action="/refund/{{.ID}}"><button>Refund</button></form>
{{if .Refunded}}<form method="post" action="/fail-refund/{{.ID}}"><button>Let the last refund fail</button></form>{{end}}
<form method="post" action="/chargeback/{{.ID}}"><button>Charge back</button></form>
{{else}}<form method="post" action="/pay/{{.ID}}"><button>Pay</button></form>
<form method="post" action="/decline/{{.ID}}"><button>Decline</button></form>{{end}}
<p>No card is asked for and no money moves: this stands in for Stripe.</p>`))

func (s *Server) inboxPage(w http.ResponseWriter, r *http.Request) {
	phone := r.URL.Query().Get("phone")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	inboxTemplate.Execute(w, object{"Phone": phone, "Messages": s.messages(phone)})
}

func (s *Server) payPage(w http.ResponseWriter, r *http.Request) {
	s.stripe.mu.Lock()
	found := s.stripe.byIDOrSecret(r.PathValue("id"))
	if found == nil {
		s.stripe.mu.Unlock()
		http.Error(w, "no such payment intent", http.StatusNotFound)
		return
	}
	data := object{"ID": found.id, "Status": found.status, "Currency": found.currency, "Amount": decimal(found.amount), "Refunded": ""}
	if found.refunded > 0 {
		data["Refunded"] = decimal(found.refunded)
	}
	s.stripe.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	payTemplate.Execute(w, data)
}

func decimal(cents int64) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

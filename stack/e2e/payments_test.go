package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// fromStripe signs an event as Stripe does.
func fromStripe(t *testing.T, event string) http.Header {
	t.Helper()
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secretOf(t, "STRIPE_WEBHOOK_SECRET")))
	mac.Write([]byte(at + "." + event))
	return http.Header{"Stripe-Signature": {"t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))}, "Content-Type": {"application/json"}}
}

// Administrators see a payment without a top-up until one of them resolves it, with a reason.
func TestMoneyThatGoesWrongIsSeen(t *testing.T) {
	p, intent := person(t, 0), "pi_lost"+run
	event := fmt.Sprintf(`{"id":"evt_lost%s","object":"event","api_version":"2023-10-16","type":"payment_intent.succeeded","data":{"object":{"id":%q,"object":"payment_intent","amount":5000,"amount_received":5000,"currency":"sgd","metadata":{}}}}`, run, intent)
	play(t, map[string]string{"intent": intent}, []row{
		{call: "POST /webhooks/stripe", body: []byte(event), header: fromStripe(t, event), want: "200"},
		{by: admin, call: "GET /admin/payments?state=anomaly", want: "200", reads: "[0].payment_intent_id=$intent [0].state=anomaly [0].paid=50 [0].anomalies.[0].kind ^pagination.total:number"},
		{by: admin, call: "GET /admin/payments?state=odd", want: "400 VALIDATION_ERROR", reads: "^errors.state"},
		{by: p, call: "GET /admin/payments", want: "403 FORBIDDEN"},
		{by: admin, call: "POST /admin/payments/$intent/resolve", body: object{}, want: "400 VALIDATION_ERROR", reads: "^errors.reason"},
		{by: admin, call: "POST /admin/payments/pi_none/resolve", body: object{"reason": "x"}, want: "404 PAYMENT_NOT_FOUND"},
		{by: admin, call: "POST /admin/payments/$intent/resolve", body: object{"reason": "refunded by hand"}, want: "200", reads: "state=resolved anomalies.[0].reason"},
		{by: admin, call: "GET /admin/payments?state=resolved", want: "200", reads: "[0].payment_intent_id=$intent"},
	})
}

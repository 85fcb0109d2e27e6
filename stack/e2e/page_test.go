package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"ticketremaster/stack/client"
)

// browser is a headless Chromium. No request of it may leave the origins of the gateway and of the sandbox, nor be
// refused by a page's policy, and nothing may be written to its console as an error.
type browser struct {
	context.Context
	t *testing.T
}

// openBrowser opens the gate's page.
func openBrowser(t *testing.T, width int64, options ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	b := newBrowser(t, width, options...)
	b.run(chromedp.Navigate(app.Gateway+"/gate"), chromedp.WaitVisible("#login"))
	return b
}

func newBrowser(t *testing.T, width int64, options ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	options = append(append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox), options...)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{ctx, t}
	var mu sync.Mutex
	var foreign, failures []string
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, app.Gateway+"/") && !strings.HasPrefix(e.Request.URL, app.Sandbox+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
				foreign = append(foreign, e.Request.URL)
			}
		case *runtime.EventExceptionThrown:
			failures = append(failures, e.ExceptionDetails.Error())
		}
	})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if len(foreign)+len(failures) > 0 {
			t.Errorf("asked elsewhere: %v; failures of the page: %v", foreign, failures)
		}
	})
	b.run(network.Enable(), emulation.SetDeviceMetricsOverride(width, 844, 1, width < 500))
	return b
}

func (b *browser) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// keys types, or presses, without a pointer.
func (b *browser) keys(text string) { b.t.Helper(); b.run(chromedp.KeyEvent(text)) }

// tabTo moves the focus to the element with that id or name, by keyboard only.
func (b *browser) tabTo(name string) {
	b.t.Helper()
	for range 60 {
		var at string
		b.run(chromedp.Evaluate(`document.activeElement.id || document.activeElement.name || document.activeElement.textContent.trim()`, &at))
		if at == name {
			return
		}
		b.keys(kb.Tab)
	}
	b.t.Fatalf("the keyboard does not reach %s", name)
}

func (b *browser) text(id string) (text string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(fmt.Sprintf(`document.getElementById(%q).textContent`, id), &text))
	return text
}

func (b *browser) until(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var is bool
		b.run(chromedp.Evaluate(expression, &is))
		if is {
			return
		}
		if time.Now().After(deadline) {
			var page string
			b.run(chromedp.Evaluate(`document.body.innerText`, &page))
			b.t.Fatalf("it never came true that %s:\n%s", what, page)
		}
	}
}

// logIn logs in and opens the gate of an event, by the keyboard alone.
func (b *browser) logIn(staff *client.Person, e event) {
	b.t.Helper()
	b.tabTo("email")
	b.keys(staff.Email + kb.Tab + staff.Password + kb.Enter)
	b.run(chromedp.WaitVisible("#choose"))
	b.until("the event is offered", fmt.Sprintf(`[...document.querySelectorAll('#choose option')].some((o) => o.value === %q)`, e.ID))
	b.run(chromedp.Evaluate(fmt.Sprintf(`(() => { const s = document.querySelector('#choose select'); s.value = %q; s.onchange(); })()`, e.ID), nil))
	b.tabTo("Open the gate")
	b.keys(kb.Enter)
	b.run(chromedp.WaitVisible("#door"))
	b.until("the device has its list", `document.getElementById('list').textContent.includes('works without network')`)
}

// scans types a code as a scanner does, and waits for the result.
func (b *browser) scans(code, result string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(`document.getElementById('result').dataset.result = ''`, nil))
	b.tabTo("code")
	b.keys(code + kb.Enter)
	b.until(result, fmt.Sprintf(`document.getElementById('result').dataset.result === %q`, result))
}

func (b *browser) offline(off bool) {
	b.t.Helper()
	b.run(network.EmulateNetworkConditions(off, 0, -1, -1))
}

func atGate(t *testing.T, options ...func(map[string]any)) (staff, owner *client.Person, e event) {
	t.Helper()
	staff, owner = employee(t, "staff"), person(t, 400_00)
	e = newEvent(t, 6, options...)
	for i := range 5 {
		buy(t, owner, e.Seats[i].ID)
	}
	return staff, owner, e
}

func TestTheGatePageByKeyboard(t *testing.T) {
	staff, owner, e := atGate(t)
	for _, width := range []int64{390, 1280} {
		b := openBrowser(t, width)
		if width == 390 {
			b.logIn(staff, e)
			b.scans(qrOf(t, owner, e.Seats[0].ID), "SUCCESS")
			if got := b.text("detail"); !strings.Contains(got, "Seat A1") || !strings.Contains(got, owner.Email) {
				t.Errorf("%q", got)
			}
			b.until("the family is offered", `document.querySelectorAll('#party li').length === 4`)
			b.until("one is inside", `document.getElementById('inside').textContent === '1'`)
			b.scans("no ticket", "ERROR")
			b.tabTo("undo")
			b.keys(kb.Enter)
			b.run(chromedp.WaitVisible("#why"))
			b.keys(kb.Enter) // the first button of the form
			b.until("it is undone", `document.getElementById('word').textContent === 'Undone'`)
			b.until("nobody is inside", `document.getElementById('inside').textContent === '0'`)
			b.tabTo("q")
			b.keys("A2" + kb.Enter)
			b.until("the ticket is found", `document.querySelectorAll('#found li').length === 1`)
			b.tabTo("Let in")
			b.keys(kb.Enter)
			b.until("it is let in", `document.getElementById('result').dataset.result === 'SUCCESS'`)
			b.until("one is inside", `document.getElementById('inside').textContent === '1'`)
		}
		var scroll int64
		b.run(chromedp.Evaluate(`document.documentElement.scrollWidth`, &scroll))
		if scroll > width {
			t.Errorf("at %d px it is %d px wide", width, scroll)
		}
	}
}

// Without network the page decides phones' own codes, goes on after a reload, and brings up what it decided.
func TestTheDoorWithoutNetwork(t *testing.T) {
	staff, owner, e := atGate(t)
	b := openBrowser(t, 390)
	b.logIn(staff, e)
	b.run(chromedp.Evaluate(`navigator.serviceWorker.ready.then(() => true)`, nil, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	codes := []string{offline(t, owner, e.Seats[0].ID), offline(t, owner, e.Seats[1].ID), offline(t, owner, e.Seats[2].ID)}
	online := qrOf(t, owner, e.Seats[3].ID)
	b.offline(true)
	b.scans(codes[0], "SUCCESS")
	b.until("it says so", `!document.getElementById('network').hidden`)
	b.scans(codes[0], "DUPLICATE")
	b.scans(codes[1], "SUCCESS")
	b.scans(online, "ERROR")
	if got := b.text("message"); !strings.Contains(got, "offline code") {
		t.Errorf("%q", got)
	}
	b.run(chromedp.Reload(), chromedp.WaitVisible("#door"))
	b.until("what was decided is still there", `document.getElementById('pending').textContent === '3'`)
	b.scans(codes[1], "DUPLICATE")
	verify(t, staff, codes[1], "H1", nil, "SUCCESS", "") // the other gate has network, and does not know
	b.scans(offline(t, owner, e.Seats[2].ID), "SUCCESS")
	b.offline(false)
	b.until("all is brought up", `document.getElementById('pending').textContent === '0' && document.getElementById('network').hidden`)
	b.until("the collision is told", `document.getElementById('conflicts').textContent === '1' && document.getElementById('inside').textContent === '3'`)
	a, err := staff.Get(t.Context(), "/gate/"+e.ID+"/conflicts")
	if must(t, a, err, http.StatusOK); total(t, a) != 1 {
		t.Errorf("%s", a.Data)
	}
}

// The camera reads a picture of a ticket.
func TestTheDoorsCamera(t *testing.T) {
	staff, owner, e := atGate(t)
	film := filepath.Join(t.TempDir(), "ticket.y4m")
	if err := os.WriteFile(film, pictureOf(t, offline(t, owner, e.Seats[0].ID)), 0o600); err != nil {
		t.Fatal(err)
	}
	b := openBrowser(t, 390, chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-video-capture", film))
	b.logIn(staff, e)
	b.tabTo("camera")
	b.keys(kb.Enter)
	b.until("the code was seen", `document.getElementById('result').dataset.result === 'SUCCESS'`)
	b.keys(kb.Enter)
	b.until("the camera is off", `document.getElementById('video').hidden`)
}

// pictureOf is a film of one frame, in YUV4MPEG2.
func pictureOf(t *testing.T, text string) []byte {
	t.Helper()
	const width, height = 640, 480
	matrix, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 400, 400, nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	for i := range frame.Y {
		frame.Y[i] = 235
		if x, y := i%width-120, i/width-40; x >= 0 && x < 400 && y >= 0 && y < 400 && matrix.Get(x, y) {
			frame.Y[i] = color.YCbCr{Y: 16}.Y
		}
	}
	for i := range frame.Cb {
		frame.Cb[i], frame.Cr[i] = 128, 128
	}
	var film bytes.Buffer
	fmt.Fprintf(&film, "YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420jpeg\n", width, height)
	for range 5 {
		film.WriteString("FRAME\n")
		film.Write(frame.Y)
		film.Write(frame.Cb)
		film.Write(frame.Cr)
	}
	return film.Bytes()
}

// The page's rules are the service's, by the vectors of gate/rules; its reading of offline codes, and the JavaScript of
// docs/qr-format.md, are by the vectors there.
func TestTheDoorsRulesAndCodes(t *testing.T) {
	b := openBrowser(t, 390)
	vectors, err := os.ReadFile("../../orchestrator-service/gate/rules/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	await := func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
	var wrong []string
	b.run(chromedp.Evaluate(`(async (vectors) => {
		const { decide } = await import('/gate/rules.js');
		const same = (a, b) => a.result === b.result && (a.reason ?? '') === (b.reason ?? '') && a.message === b.message;
		return vectors.filter((v) => !same(decide(v.facts), v.verdict)).map((v) => v.name + ': ' + JSON.stringify(decide(v.facts)));
	})(`+string(vectors)+`)`, &wrong, await))
	if len(wrong) > 0 {
		t.Errorf("the page decides otherwise:\n%s", strings.Join(wrong, "\n"))
	}
	if n := strings.Count(string(vectors), `"verdict"`); n < 40 {
		t.Errorf("%d vectors", n)
	}
	page, err := os.ReadFile("../../docs/qr-format.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```js\n(.*?)```").FindSubmatch(page)
	secret := regexp.MustCompile("secret \\| `[0-9a-f]{40}` \\(hex\\), `([A-Za-z0-9+/=]+)`").FindSubmatch(page)
	prefix := regexp.MustCompile("prefix \\| `(T1[^`]*)`").FindSubmatch(page)
	digits := regexp.MustCompile("digits at (\\d+) \\| `(\\d{8})`").FindAllSubmatch(page, -1)
	if code == nil || secret == nil || prefix == nil || len(digits) != 3 {
		t.Fatal("docs/qr-format.md has no code or vectors")
	}
	for _, d := range digits {
		ticket, _ := json.Marshal(map[string]string{"prefix": string(prefix[1]), "secret": string(secret[1])})
		var got string
		b.run(chromedp.Evaluate(fmt.Sprintf(`(() => { %s; return offlineCode(%s, %s * 1000); })()`, code[1], ticket, d[1]), &got, await))
		if got != string(prefix[1])+string(d[2]) {
			t.Errorf("at %s: %s", d[1], got)
		}
	}
	var rfc string
	b.run(chromedp.Evaluate(fmt.Sprintf(`(() => { %s; return totp(bytesOf('%s'), 59000); })()`, code[1], base64.StdEncoding.EncodeToString([]byte("12345678901234567890123456789012"))), &rfc, await))
	if rfc != "46119246" {
		t.Errorf("RFC 6238: %s", rfc)
	}
	// The page derives the same secret from an event's key as the phone got.
	key := base64.StdEncoding.EncodeToString(eventKey([]byte("ticketremaster offline v1"), "0193a5c0-0000-7000-8000-000000000002"))
	var read struct {
		Seat    string `json:"seat"`
		Version int    `json:"version"`
	}
	b.run(chromedp.Evaluate(fmt.Sprintf(`import('/gate/totp.js').then((m) => m.read('%s%s', %s * 1000, '0193a5c0-0000-7000-8000-000000000002', {MVeg: '%s'}))`,
		prefix[1], digits[0][2], digits[0][1], key), &read, await))
	if read.Version != 1 || read.Seat != "AZOlwAAAcACAAAAAAAAAAQ" {
		t.Errorf("%+v", read)
	}
}

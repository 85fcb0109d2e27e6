package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"ticketremaster/stack/client"
)

// faint lists the texts of a page whose contrast with their background is below 4.5.
const faint = `(() => {
	const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
	const read = (color) => color.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
	const behind = (e) => { for (; e; e = e.parentElement) { const c = read(getComputedStyle(e).backgroundColor); if (c[3] !== 0) return c; }
		return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255]; };
	const wrong = new Set();
	const text = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	const check = (e, color, what) => {
		const [a, b] = [light(read(color)), light(behind(e))].sort((a, b) => b - a), contrast = (a + 0.05) / (b + 0.05);
		if (contrast < 4.5) wrong.add(contrast.toFixed(1) + ' ' + what.trim().slice(0, 40));
	};
	for (let node; (node = text.nextNode());) {
		const e = node.parentElement;
		if (node.data.trim() && !['SCRIPT', 'STYLE'].includes(e.tagName)) check(e, getComputedStyle(e).color, node.data);
	}
	for (const e of document.querySelectorAll('[placeholder]')) check(e, getComputedStyle(e, '::placeholder').color, e.placeholder);
	return [...wrong];
})()`

// Our pages are readable on phone and desktop, in light and dark mode: none is wider than its window or has faint text.
func TestPagesCanBeRead(t *testing.T) {
	p := person(t, 10_00)
	a, err := p.Post(t.Context(), "/credits/topup", object{"amount": 12})
	must(t, a, err, http.StatusOK)
	for _, width := range []int64{390, 1280} {
		b := newBrowser(t, width)
		for _, scheme := range []string{"light", "dark"} {
			b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
			for _, page := range []string{app.Gateway + "/docs", app.Gateway + "/gate", app.Sandbox + "/", app.Sandbox + "/pay/" + a.Text("client_secret")} {
				var wide int64
				var back string
				var dim []string
				b.run(chromedp.Navigate(page), chromedp.WaitReady("h1, form", chromedp.ByQuery),
					chromedp.Evaluate(`document.querySelectorAll('details').forEach((d) => d.open = true)`, nil),
					chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide),
					chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, &back), chromedp.Evaluate(faint, &dim))
				if wide > width || len(dim) > 0 || (back == "rgb(255, 255, 255)") != (scheme == "light") || strings.HasPrefix(back, "rgba") {
					t.Errorf("%s at %d px, %s: %d px wide, back %s, faint: %q", page, width, scheme, wide, back, dim)
				}
			}
		}
	}
}

// In the page of the API an operation is found by its path, a field or an error code, by the keyboard alone; the page
// names the address it came from.
func TestTheDocsPageByKeyboard(t *testing.T) {
	b := newBrowser(t, 390)
	b.run(chromedp.Navigate(app.Gateway+"/docs"), chromedp.WaitVisible("#find", chromedp.ByQuery))
	shown := `[...document.querySelectorAll('summary')].filter((s) => s.checkVisibility()).map((s) => s.querySelector('code').textContent).join()`
	b.until("the tour names the gateway", fmt.Sprintf(`document.querySelector('.tour').textContent.includes('GATEWAY=${GATEWAY:-%s}')`, app.Gateway))
	b.until("it is not long", `document.documentElement.scrollHeight < 20000`)
	b.keys("/")
	b.until("a slash goes to the find box", `document.activeElement.id === 'find'`)
	b.keys(kb.Escape) // chromedp also types the slash
	b.keys("payment_in_progress hold")
	b.until("few are left", `(() => { const n = document.querySelectorAll('summary').length, left = [...document.querySelectorAll('summary')].filter((s) => s.checkVisibility()).length; return left > 0 && left < n / 5; })()`)
	b.keys(kb.Escape)
	b.keys("/reserve hold a seat")
	b.until("one is left", shown+` === '/reserve'`)
	b.keys("zzz")
	b.until("nothing is left, and told", shown+` === '' && document.getElementById('none').checkVisibility()`)
	b.keys(kb.Escape)
	b.until("all are back", `[...document.querySelectorAll('details')].every((d) => d.checkVisibility())`)
	b.run(chromedp.Navigate(app.Gateway + "/docs#schema-Order"))
	b.until("a link opens what it leads to", `document.getElementById('schema-Order').checkVisibility() && document.activeElement.textContent.includes('Order')`)
	b.keys(kb.Enter)
	b.until("the keyboard closes it", `!document.getElementById('schema-Order').checkVisibility()`)
}

// HEAD answers as GET does, without the body, for every path that is described.
func TestHEADWhereverThereIsGET(t *testing.T) {
	e := newEvent(t, 2)
	for path, item := range described.doc.Paths.Map() {
		if item.Get == nil {
			continue
		}
		path = regexp.MustCompile(`\{file\}`).ReplaceAllString(path, "style.css")
		path = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, e.ID)
		want, err := app.Do(t.Context(), client.Call{Method: http.MethodGet, Path: path, Token: admin.Access})
		if err != nil {
			t.Fatal(err)
		}
		got, err := app.Do(t.Context(), client.Call{Method: http.MethodHead, Path: path, Token: admin.Access})
		if err != nil || got.Status != want.Status || got.Header.Get("Content-Type") != want.Header.Get("Content-Type") || len(got.Raw) > 0 {
			t.Errorf("HEAD %s: %v, %d %s, %d bytes; GET has %d %s", path, err, got.Status, got.Header.Get("Content-Type"), len(got.Raw), want.Status, want.Header.Get("Content-Type"))
		}
	}
}

// A large answer is compressed for a client that accepts that, and only then.
func TestLargeAnswersAreCompressed(t *testing.T) {
	p := person(t, 100_00)
	e := newEvent(t, 70, func(m map[string]any) { m["pricing_tiers"] = map[string]any{"A": 1} })
	for _, s := range e.Seats {
		buy(t, p, s.ID)
	}
	for path, token := range map[string]string{
		"/tickets": p.Access, "/orders?per_page=100": p.Access, "/admin/events/" + e.ID + "/dashboard": admin.Access, "/events/" + e.ID: "", "/docs": "", "/docs/openapi.json": "",
	} {
		for _, encoding := range []string{"gzip", "identity"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, app.Gateway+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", encoding)
			if app.APIKey != "" {
				req.Header.Set("apikey", app.APIKey)
			}
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			res, err := app.HTTP.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK || (res.Header.Get("Content-Encoding") == "gzip") != (encoding == "gzip") {
				t.Errorf("%s for %s: %d, %q", path, encoding, res.StatusCode, res.Header.Get("Content-Encoding"))
			}
		}
	}
}

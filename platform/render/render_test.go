package render

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

const longSecret = "0123456789abcdef0123456789abcdef"

func env(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestRender(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		env  []string
		want string
	}{
		"text":              {`a: "${A}"`, []string{"A", "b"}, `a: "b"`},
		"twice on a line":   {`"${A}-${B}"`, []string{"A", "1", "B", "2"}, `"1-2"`},
		"default":           {`"${A:-x}"`, nil, `"x"`},
		"default for empty": {`"${A:-x}"`, []string{"A", ""}, `"x"`},
		"value wins":        {`"${A:-x}"`, []string{"A", "y"}, `"y"`},
		"quote escaped":     {`"${A}"`, []string{"A", `"}, {"x": "`}, `"\"}, {\"x\": \""`},
		"backslash escaped": {`"${A}"`, []string{"A", `\`}, `"\\"`},
		"no second pass":    {`"${A}"`, []string{"A", "${B}"}, `"${B}"`},
		"number":            {`n: ${N|number:-5}`, []string{"N", "7"}, `n: 7`},
		"limit":             {`n: ${N|limit:-30}`, []string{"N", "6000"}, `n: 6000`},
		"usual limit":       {`n: ${N|limit:-30}`, []string{"APP_ENV", "production"}, `n: 30`},
		"ten times":         {`n: ${N|limit:-30}`, []string{"N", "300", "APP_ENV", "production"}, `n: 300`},
		"list":              {`o: ${O|list}`, []string{"O", "http://a, http://b,"}, `o: ["http://a","http://b"]`},
		"list item quoted":  {`o: ${O|list}`, []string{"O", `a"]`}, `o: ["a\"]"]`},
		"target":            {`t: ${T|targets}`, []string{"T", "http://a:1"}, `t: [{"target":"a:1"}]`},
		"targets":           {`t: ${T|targets}`, []string{"T", "http://a:1, http://b:2/"}, `t: [{"target":"a:1"},{"target":"b:2"}]`},
		"set":               {`e: ${K|set}`, []string{"K", "v"}, `e: true`},
		"not set":           {`e: ${K|set}`, nil, `e: false`},
		"secret":            {`"${S|secret}"`, []string{"S", longSecret}, `"` + longSecret + `"`},
		"comment":           {"# needs ${A}\nb: 1", nil, "# needs ${A}\nb: 1"},
		"no placeholder":    {`price: "$5 {x}"`, nil, `price: "$5 {x}"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Render([]byte(c.in), env(c.env...))
			if err != nil || string(got.Text) != c.want {
				t.Fatalf("got %s, %v; want %s", got.Text, err, c.want)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in  string
		env []string
	}{
		"missing":                {`"${A}"`, nil},
		"empty":                  {`"${A}"`, []string{"A", ""}},
		"text without quotes":    {`a: ${A}`, []string{"A", "1, b: 2"}},
		"target without a port":  {`t: ${T|targets}`, []string{"T", "http://a:1,http://b"}},
		"target with a path":     {`t: ${T|targets}`, []string{"T", "http://a:1/x"}},
		"target over TLS":        {`t: ${T|targets}`, []string{"T", "https://a:1"}},
		"targets in quotes":      {`"${T|targets}"`, []string{"T", "http://a:1"}},
		"list in quotes":         {`"${A|list}"`, []string{"A", "x"}},
		"set in quotes":          {`"${A|set}"`, nil},
		"not a number":           {`${A|number}`, []string{"A", "1, x: 2"}},
		"negative":               {`${A|number}`, []string{"A", "-1"}},
		"no limit":               {`${A|limit:-30}`, []string{"A", "x"}},
		"limit of nothing":       {`${A|limit}`, []string{"A", "5"}},
		"no limit in production": {`${A|limit:-30}`, []string{"A", "301", "APP_ENV", "production"}},
		"unknown filter":         {`"${A|upper}"`, []string{"A", "x"}},
		"malformed":              {`"${A-b}"`, []string{"A", "x"}},
		"newline":                {`"${A}"`, []string{"A", "x\ny"}},
		"not UTF-8":              {`"${A}"`, []string{"A", "\xff"}},
		"short secret":           {`"${S|secret}"`, []string{"S", "0123456789abcdef"}},
		"placeholder secret":     {`"${S|secret}"`, []string{"S", "your_jwt_secret_here_and_some_more_of_it"}},
		"demo's in production":   {`"${S|secret}"`, []string{"S", "demo-only-" + longSecret, "APP_ENV", "production"}},
		"sample in production":   {`"${S}"`, []string{"S", "change_me", "APP_ENV", "production"}},
		"derived in production": {`"${RABBITMQ_PASS_HASH}"`,
			[]string{"RABBITMQ_PASS", "change_me", "APP_ENV", "production"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Render([]byte(c.in), env(c.env...)); err == nil {
				t.Fatalf("accepted as %s", got.Text)
			}
		})
	}
}

func TestRenderNamesEveryVariableOnceAndNoValue(t *testing.T) {
	_, err := Render([]byte("\"${ONE}\" \"${TWO}\"\n\"${ONE}\"\n\"${S|secret}\""), env("S", "hush"))
	if err == nil {
		t.Fatal("accepted")
	}
	text := err.Error()
	for _, name := range []string{"ONE", "TWO", "S has 4 bytes"} {
		if strings.Count(text, name) != 1 {
			t.Errorf("%q is named %d times in: %s", name, strings.Count(text, name), text)
		}
	}
	if strings.Contains(text, "hush") {
		t.Errorf("the secret is shown: %s", text)
	}
}

func TestRenderNamesWhatIsSetNotWhatIsDerived(t *testing.T) {
	_, err := Render([]byte(`"${RABBITMQ_PASS_HASH}"`), env())
	if err == nil || !strings.Contains(err.Error(), "RABBITMQ_PASS is missing") {
		t.Fatal(err)
	}
}

func TestRenderWarnsOfPlaceholders(t *testing.T) {
	got, err := Render([]byte(`"${RABBITMQ_PASS_HASH}" "${RABBITMQ_USER}"`), env("RABBITMQ_PASS", "change_me", "RABBITMQ_USER", "tr"))
	if err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "RABBITMQ_PASS ") {
		t.Fatalf("warnings %q, error %v", got.Warnings, err)
	}
	if strings.Contains(string(got.Text), "change_me") {
		t.Fatalf("the password itself is in the file: %s", got.Text)
	}
	got, err = Render([]byte(`"${S|secret}"`), env("S", "demo-only-"+longSecret)) // with .env.example the demo works
	if err != nil || len(got.Warnings) != 1 {
		t.Fatalf("warnings %q, error %v", got.Warnings, err)
	}
}

func TestRabbitPasswordHash(t *testing.T) {
	// The example of RabbitMQ's documentation on credentials: password test12, salt 908DC60A.
	if got := rabbitHash([4]byte{0x90, 0x8D, 0xC6, 0x0A}, "test12"); got != "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR" {
		t.Errorf("got %s", got)
	}
	a, b := RabbitPasswordHash("x"), RabbitPasswordHash("x")
	if raw, err := base64.StdEncoding.DecodeString(a); err != nil || len(raw) != 36 || a == b {
		t.Errorf("not salted base64 of 36 bytes: %s, %s, %v", a, b, err)
	}
}

// FuzzRender checks that no value escapes the string it is put into.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{"plain", `"`, `\`, `\"`, "${A}", "\u2028", "é", "a\x00b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := Render([]byte(`{"a": "${A}", "b": ${A|list}}`), env("A", value))
		if err != nil {
			return
		}
		var back struct {
			A string
			B []string
		}
		if err := json.Unmarshal(got.Text, &back); err != nil || back.A != value {
			t.Fatalf("%q came back as %q, %v", value, back.A, err)
		}
	})
}

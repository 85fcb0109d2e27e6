package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Widths of the columns, in characters.
const (
	numberWidth = 4
	wayWidth    = 27
	actionWidth = 70
	lineWidth   = 2 + numberWidth + wayWidth + actionWidth + 9
)

// output prints the demo. Each line is a step of docs/architecture.md, with the state that it left below it. Its
// methods may be called concurrently.
type output struct {
	mu    sync.Mutex
	w     io.Writer
	color bool
}

func newOutput(out io.Writer) *output { return &output{w: out, color: onTerminal(out)} }

// onTerminal reports whether the output is a terminal that shows colours; not if NO_COLOR is set.
func onTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "1;36"
)

func (o *output) paint(code, text string) string {
	if !o.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (o *output) print(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintln(o.w, strings.TrimRight(line, " "))
}

// section begins a part of the demo: one of the flows of docs/architecture.md.
func (o *output) section(title, about string) {
	o.print("\n" + o.paint(cyan, title+" "+strings.Repeat("━", max(3, lineWidth-1-utf8.RuneCountInString(title)))))
	if about != "" {
		o.print(o.paint(dim, about))
	}
}

// table begins one of the section's tables.
func (o *output) table(title, about string) {
	o.print("\n  " + o.paint(bold, title) + o.paint(dim, "   "+about))
}

// step is a row of a flow's table in docs/architecture.md: number, from → to, action and outcome. took is shown unless
// it is 0.
func (o *output) step(number, way, action string, took time.Duration) {
	o.print("  " + o.paint(bold, pad(number, numberWidth)) + pad(way, wayWidth) + pad(action, actionWidth) + o.paint(dim, timing(took)))
}

// left shows the state that the step left, from its owner's database or the API.
func (o *output) left(where, format string, args ...any) {
	o.print(strings.Repeat(" ", 2+numberWidth+wayWidth) + o.paint(green, "↳ "+where+": ") + o.paint(dim, fmt.Sprintf(format, args...)))
}

// note prints what is needed to understand the rows.
func (o *output) note(format string, args ...any) {
	o.print("  " + strings.Repeat(" ", numberWidth) + o.paint(yellow, fmt.Sprintf(format, args...)))
}

// pad fills text with spaces; a longer one gets one space, and the line is as much longer.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(1, width-utf8.RuneCountInString(text)))
}

// timing is right-aligned: "12 ms", "4.1 s".
func timing(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return fmt.Sprintf("%8s", "< 1 ms")
	case d < time.Second:
		return fmt.Sprintf("%5d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%6.1f s", d.Seconds())
}

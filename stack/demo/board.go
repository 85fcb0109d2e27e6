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

// Widths of the board's columns, in characters.
const (
	numberWidth = 4
	wayWidth    = 27
	actionWidth = 70
	boardWidth  = 2 + numberWidth + wayWidth + actionWidth + 9
)

// board prints the demo. Each line is a step of docs/architecture.md, with the state that it left below it. Its methods
// may be called concurrently.
type board struct {
	mu    sync.Mutex
	out   io.Writer
	color bool
}

func newBoard(out io.Writer) *board { return &board{out: out, color: onTerminal(out)} }

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

func (b *board) paint(code, text string) string {
	if !b.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (b *board) print(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintln(b.out, strings.TrimRight(line, " "))
}

// scene begins a part of the demo: one of the flows of docs/architecture.md.
func (b *board) scene(title, about string) {
	b.print("\n" + b.paint(cyan, title+" "+strings.Repeat("━", max(3, boardWidth-1-utf8.RuneCountInString(title)))))
	if about != "" {
		b.print(b.paint(dim, about))
	}
}

// path begins one of the part's tables.
func (b *board) path(title, about string) {
	b.print("\n  " + b.paint(bold, title) + b.paint(dim, "   "+about))
}

// step is a row of a flow's table in docs/architecture.md: number, from → to, action and outcome. took is shown unless
// it is 0.
func (b *board) step(number, way, action string, took time.Duration) {
	b.print("  " + b.paint(bold, pad(number, numberWidth)) + pad(way, wayWidth) + pad(action, actionWidth) + b.paint(dim, timing(took)))
}

// left shows the state that the step left, from its owner's database or the API.
func (b *board) left(where, format string, args ...any) {
	b.print(strings.Repeat(" ", 2+numberWidth+wayWidth) + b.paint(green, "↳ "+where+": ") + b.paint(dim, fmt.Sprintf(format, args...)))
}

// note prints what is needed to understand the rows.
func (b *board) note(format string, args ...any) {
	b.print("  " + strings.Repeat(" ", numberWidth) + b.paint(yellow, fmt.Sprintf(format, args...)))
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

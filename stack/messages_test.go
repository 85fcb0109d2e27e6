package stack

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Messages of refusals have one style: the test reads every fault that the product declares. A message is a sentence
// with a capital letter and no full stop. What is wrong with a field follows the field's name, and what is unavailable
// stands in the middle of a sentence.
func TestFaultsAreDeclaredInOneStyle(t *testing.T) {
	faults := 0
	eachProductFile(t, func(files *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if n, ok := n.(*ast.CallExpr); ok {
				call := func(position int, right func(string) bool, style string) {
					text, ok := literal(n.Args[position])
					if !ok {
						return
					}
					faults++
					if !right(text) || strings.TrimSpace(text) != text || strings.HasSuffix(text, ".") || strings.Contains(text, "  ") {
						t.Errorf("%s: %q: %s", files.Position(n.Pos()), text, style)
					}
				}
				switch name := called(file, n); {
				case name == "New" && len(n.Args) >= 3:
					call(2, func(s string) bool { return capital(s) || strings.HasPrefix(s, "%") }, "a message begins with a capital letter")
				case name == "Field" && len(n.Args) >= 2:
					call(1, func(s string) bool { return !capital(s) }, "what is wrong follows the field's name")
				case name == "Unreachable" && len(n.Args) == 2:
					call(0, func(s string) bool { return !capital(s) || strings.HasPrefix(s, "SMS") }, "what is unavailable stands in a sentence")
				}
			}
			return true
		})
	})
	if faults < 150 {
		t.Fatalf("only %d faults were found: the test reads the wrong files", faults)
	}
}

func eachProductFile(t *testing.T, look func(*token.FileSet, *ast.File)) {
	t.Helper()
	modules, err := filepath.Glob("../*-service")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range append(modules, "../platform") {
		err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "sagatest") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err == nil {
				look(files, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// called returns the name of the function of package fault that is called, "" if none is.
func called(file *ast.File, call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		if p, ok := f.X.(*ast.Ident); ok && p.Name == "fault" {
			return f.Sel.Name
		}
	case *ast.Ident:
		if file.Name.Name == "fault" {
			return f.Name
		}
	}
	return ""
}

// literal returns the text of a literal, the pieces of a long one joined.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok1 := literal(e.X)
		right, ok2 := literal(e.Y)
		return left + right, ok1 && ok2
	}
	return "", false
}

func capital(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r)
}

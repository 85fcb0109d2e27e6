// Command render fills the placeholders of a file from the environment:
//
//	render IN OUT [COMMAND ARGUMENT...]
//
// OUT is replaced as a whole and readable by its owner only, since it holds
// secrets. It exits 1, naming every variable at fault, and writes nothing, if
// one is missing, empty or refused. With a COMMAND, it then becomes that
// command: so an image needs no shell to render a file before its server starts.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"ticketremaster/platform/render"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: render IN OUT [COMMAND ARGUMENT...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "render: %s:\n%v\n", os.Args[1], err)
		os.Exit(1)
	}
	if command := os.Args[3:]; len(command) > 0 {
		fmt.Fprintln(os.Stderr, "render:", become(command))
		os.Exit(1)
	}
}

// become replaces this process by command; it returns only if that fails.
func become(command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, command, os.Environ())
}

func run(in, out string) error {
	template, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	result, err := render.Render(template, os.LookupEnv)
	for _, warning := range result.Warnings {
		fmt.Fprintf(os.Stderr, "WARNING: %s: %s\n", in, warning)
	}
	if err != nil {
		return err
	}
	return replace(out, result.Text)
}

// replace writes text beside path and renames it, so that a server that starts
// at this moment reads the old file or the new one, never half of one.
func replace(path string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".render-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails after the rename, and is then not needed
	if _, err := tmp.Write(text); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

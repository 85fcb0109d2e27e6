package native

import (
	"context"
	_ "embed" // install.sh
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

//go:embed install.sh
var installScript string

// Missing names the Debian packages whose programs are not on this machine: PostgreSQL, RabbitMQ, and those of the
// tools: each is named as its package, but etcd, which is in etcd-server.
func Missing(tools ...string) []string {
	var packages []string
	if _, err := PostgresBin(); err != nil {
		packages = append(packages, "postgresql")
	}
	if _, err := RabbitMQServer(); err != nil {
		packages = append(packages, "rabbitmq-server")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if tool == "etcd" {
				tool = "etcd-server"
			}
			packages = append(packages, tool)
		}
	}
	return packages
}

// InstallCommand is what a person can type to install the packages.
func InstallCommand(packages ...string) string {
	return "sudo apt-get install --no-install-recommends " + strings.Join(packages, " ")
}

// Install installs what is missing from Debian's or Ubuntu's packages, showing
// apt's progress on out. It needs root, or sudo without a password; else the error
// says what to type. No system-wide server is started by it, and none is made.
func Install(ctx context.Context, out io.Writer, tools ...string) error {
	packages := Missing(tools...)
	if len(packages) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%s not found, and this is no Debian or Ubuntu: install PostgreSQL %d or newer and RabbitMQ by hand", strings.Join(packages, " and "), MinPostgres)
	}
	command := []string{"/bin/sh", "-c", installScript, "install.sh"}
	if os.Geteuid() != 0 {
		if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
			return fmt.Errorf("%s not found, and no right to install: run\n  %s", strings.Join(packages, " and "), InstallCommand(packages...))
		}
		command = append([]string{"sudo", "-n"}, command...)
	}
	fmt.Fprintf(out, "installing %s\n", strings.Join(packages, " and "))
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], packages...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install %s: %w", strings.Join(packages, " and "), err)
	}
	if still := Missing(tools...); len(still) > 0 {
		return fmt.Errorf("installed, but %s is still not usable: this release's version may be too old", strings.Join(still, " and "))
	}
	return nil
}

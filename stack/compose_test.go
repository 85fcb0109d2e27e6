package stack

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ticketremaster/platform/config"
	"ticketremaster/platform/placeholder"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func names(pattern, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// .env.example has exactly the variables that the Compose files read.
func TestEnvExampleHasTheVariablesOfCompose(t *testing.T) {
	base, example := read(t, "docker-compose.yml"), read(t, ".env.example")
	listed := names(`(?m)^#?([A-Z][A-Z0-9_]*)=`, example)
	compose := base + read(t, "docker-compose.dev.yml")
	used := append(names(`\$\{([A-Z0-9_]+)`, compose), names(`(?m)^ {2,6}([A-Z][A-Z0-9_]*):$`, compose)...)
	for _, name := range used {
		if !slices.Contains(listed, name) && name != "COMPOSE_PROJECT_NAME" { // Compose gives it itself
			t.Errorf("%s is used by compose and not in .env.example", name)
		}
	}
	for _, name := range listed {
		if !slices.Contains(used, name) && name != "COMPOSE_PROFILES" {
			t.Errorf("%s is in .env.example and goes to nobody", name)
		}
	}
	for _, name := range names(`\$\{([A-Z0-9_]+):\?`, base) {
		if !regexp.MustCompile(`(?m)^` + name + `=.`).MatchString(example) {
			t.Errorf("%s is required and has no value in .env.example", name)
		}
	}
}

// Every setting that a program reads can be set in the Compose files.
func TestComposePassesEverySettingOn(t *testing.T) {
	compose := read(t, "docker-compose.yml") + read(t, "docker-compose.dev.yml")
	passed := names(`(?:^|[\s{])([A-Z][A-Z0-9_]*):`, compose)
	// One is for tests of recovery; the others differ in no deployment that compose makes.
	passed = append(passed, "SAGA_CRASH_AT", "HTTP_ADDR", "GRPC_ADDR", "DB_PORT", "DB_HOSTS", "DB_SSLMODE", "RABBITMQ_VHOST", "RABBITMQ_HOSTS", "SANDBOX_PORT")
	files, err := filepath.Glob("../*-service/cmd/*/*.go")
	more, err2 := filepath.Glob("../platform/*/*.go")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	read := 0
	for _, file := range append(append(files, more...), "sandbox/server.go", "cmd/watchman/main.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names(`env:"([A-Z][A-Z0-9_]*)`, string(text)) {
			read++
			if !slices.Contains(passed, name) {
				t.Errorf("%s reads %s, which compose does not pass on", file, name)
			}
		}
	}
	if read < 40 {
		t.Fatalf("only %d settings were found: the test reads the wrong files", read)
	}
}

// The sample secrets work in a demo, and each is recognised as a sample, so that production refuses it.
func TestSampleSecretsAreKnownAsSuch(t *testing.T) {
	values, err := readEnv("../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	secrets := 0
	for name, value := range values {
		if !regexp.MustCompile(`_(PASS|TOKEN|SECRET|KEY)$`).MatchString(name) || value == "" {
			continue
		}
		secrets++
		if !placeholder.Is(value) || placeholder.Blank(value) {
			t.Errorf("%s does not say demo-only", name)
		}
		for other, same := range values {
			if other != name && same == value {
				t.Errorf("%s and %s are alike", name, other)
			}
		}
	}
	if secrets != 17 {
		t.Errorf("%d secrets were looked at", secrets)
	}
	var key config.Key32
	for _, name := range []string{"QR_ENCRYPTION_KEY", "TOTP_ENCRYPTION_KEY"} {
		if err := key.UnmarshalText([]byte(values[name])); err != nil {
			t.Errorf("%s %v", name, err)
		}
	}
	if len(values["JWT_SECRET"]) < 32 {
		t.Error("JWT_SECRET is too short")
	}
}

// The services' Dockerfiles differ in name, first line, port, and whether the contract is needed.
func TestServicesHaveOneDockerfile(t *testing.T) {
	pattern := ""
	for _, name := range []string{"order-service", "event-service", "user-service", "inventory-service", "orchestrator-service"} {
		lines := strings.Split(strings.ReplaceAll(read(t, name, "Dockerfile"), name, "SERVICE"), "\n")
		lines = slices.DeleteFunc(lines, func(line string) bool {
			return line == lines[1] || line == "COPY proto/ proto/" || strings.HasPrefix(line, "EXPOSE ")
		})
		text := strings.Join(lines, "\n")
		if pattern == "" {
			pattern = text
		}
		if text != pattern {
			t.Errorf("%s/Dockerfile is not the pattern of order-service/Dockerfile", name)
		}
	}
}

package config

import (
	"strings"
	"testing"
	"time"
)

// Two parts of a service's settings may have fields of the same name: the variables tell them apart.
func TestLoadNamesEachMalformedVariable(t *testing.T) {
	type part struct {
		Port int `env:"A_PORT" envDefault:"1"`
	}
	type settings struct {
		Common
		A part
		B struct {
			Port int    `env:"B_PORT,required"`
			Key  Key32  `env:"B_KEY"`
			Name string `env:"B_NAME,required,notEmpty"`
		}
		Interval time.Duration `env:"INTERVAL" envDefault:"2s"`
	}
	for name, value := range map[string]string{"A_PORT": "2", "B_PORT": "many", "B_KEY": "short", "INTERVAL": "often"} {
		t.Setenv(name, value)
	}
	_, err := Load[settings]()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"B_PORT", "B_KEY", "B_NAME", "INTERVAL"} {
		if strings.Count(err.Error(), name) != 1 {
			t.Errorf("%s is not named once in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "A_PORT") {
		t.Errorf("A_PORT is right, and named in:\n%v", err)
	}
	t.Setenv("B_PORT", "3")
	t.Setenv("B_KEY", strings.Repeat("k", 32))
	t.Setenv("B_NAME", "n")
	t.Setenv("INTERVAL", "3s")
	c, err := Load[settings]()
	if err != nil || c.A.Port != 2 || c.B.Port != 3 || c.Interval != 3*time.Second {
		t.Fatalf("%+v, %v", c, err)
	}
}

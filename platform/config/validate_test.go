package config_test

import (
	"errors"
	"strings"
	"testing"

	"ticketremaster/platform/config"
)

// Kubernetes sets a variable of this form in every pod for a Service of that name.
func TestLinksToNeighboursAreNoSettings(t *testing.T) {
	type settings struct {
		Broker struct {
			Port uint16 `env:"RABBITMQ_PORT" envDefault:"5672"`
		}
		Port uint16 `env:"DB_PORT" envDefault:"5432"`
	}
	t.Setenv("RABBITMQ_PORT", "tcp://10.96.0.7:15672")
	t.Setenv("DB_PORT", "udp://10.96.0.8:53")
	c, err := config.Load[settings]()
	if err != nil || c.Broker.Port != 5672 || c.Port != 5432 {
		t.Errorf("%+v, %v", c, err)
	}
	t.Setenv("DB_PORT", "70000")
	if _, err := config.Load[settings](); err == nil || !strings.Contains(err.Error(), "DB_PORT is malformed") {
		t.Errorf("a port out of range: %v", err)
	}
}

type checked struct {
	Name string `env:"CHECKED_NAME"`
}

func (c *checked) Validate() error {
	if c.Name == "" {
		return errors.New("CHECKED_NAME must be set")
	}
	return nil
}

// A part is validated whether or not other variables are right, and reported once where it is embedded.
func TestPartsAreValidated(t *testing.T) {
	type embedded struct {
		checked
		Other int `env:"OTHER"`
	}
	type Checked = checked
	type settings struct {
		Part  Checked
		Other int `env:"OTHER"`
	}
	for _, other := range []string{"1", "many"} {
		t.Setenv("OTHER", other)
		_, err := config.Load[settings]()
		if err == nil || strings.Count(err.Error(), "CHECKED_NAME") != 1 {
			t.Errorf("OTHER=%s: %v", other, err)
		}
	}
	t.Setenv("OTHER", "1")
	if _, err := config.Load[embedded](); err == nil || strings.Count(err.Error(), "CHECKED_NAME") != 1 {
		t.Errorf("embedded: %v", err)
	}
}

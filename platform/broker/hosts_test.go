package broker_test

import (
	"net"
	"strings"
	"testing"

	"ticketremaster/platform/broker"
	"ticketremaster/platform/testenv"
)

// Of several nodes the one that answers is found, and another one when it is gone.
func TestTheNextNodeIsTried(t *testing.T) {
	first, second := testenv.PrivateRabbitMQ(t), testenv.PrivateRabbitMQ(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "amqp://u:p@" + l.Addr().String() + "/"
	l.Close()
	in := &inbox{}
	p := start(t, dead+" "+first.URL+" "+second.URL, in)
	publish(t, p, "to one of them")
	wait(t, func() bool { return p.Unsettled() == 0 })
	first.Stop()
	publish(t, p, "to the other")
	wait(t, func() bool { return p.Unsettled() == 0 && in.count() > 0 })
	second.Stop()
	first.Start()
	publish(t, p, "to the first again")
	wait(t, func() bool { return p.Unsettled() == 0 })
	if p.Lost() != 0 {
		t.Errorf("%d messages were lost", p.Lost())
	}
}

func TestAddresses(t *testing.T) {
	for hosts, want := range map[string]string{
		"":                  "amqp://u:p@one:5672//",
		"r1:5673,[::1]:562": "amqp://u:p@r1:5673// amqp://u:p@[::1]:562//",
		"r1":                "", "r1:5672,": "", ":5672": "", "r1:0": "", "r1:5672 r2:5672": "",
	} {
		c := broker.Config{Host: "one", Port: 5672, Hosts: hosts, User: "u", Password: "p", VHost: "/"}
		err := c.Validate()
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "RABBITMQ_HOSTS") {
				t.Errorf("%q: %v", hosts, err)
			}
		} else if got := strings.ReplaceAll(c.URL(), "%2F", "/"); err != nil || got != want {
			t.Errorf("%q: %s, %v", hosts, got, err)
		}
	}
	if (&broker.Config{}).Validate() == nil {
		t.Error("no address was accepted")
	}
}

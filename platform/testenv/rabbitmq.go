package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// brokerAddress is where a broker is: AMQP and management API, each with user and password.
type brokerAddress struct{ amqp, admin string }

// sharedBroker is this test program's broker.
var sharedBroker = sync.OnceValues(func() (brokerAddress, error) {
	if amqp := os.Getenv("TEST_AMQP_URL"); amqp != "" {
		admin := os.Getenv("TEST_AMQP_ADMIN_URL")
		if admin == "" {
			return brokerAddress{}, fmt.Errorf("TEST_AMQP_URL is set, TEST_AMQP_ADMIN_URL (http://user:password@host:15672/) is not: each test gets a vhost of its own through it")
		}
		say("RabbitMQ from TEST_AMQP_URL")
		return brokerAddress{amqp, admin}, nil
	}
	server, err := start("rabbitmq")
	return brokerAddress{server.URL, server.Admin}, err
})

// RabbitMQ returns the AMQP URL of a fresh vhost, which is deleted when the test
// ends. It holds the exchanges, queues and bindings of the project's
// rabbitmq/definitions.json.
func RabbitMQ(t testing.TB) string {
	t.Helper()
	broker, err := sharedBroker()
	if err != nil {
		t.Fatalf("testenv: this test needs RabbitMQ: %v", err)
	}
	name := "test-" + uuid.NewString()
	if err := manage(broker.admin, http.MethodPut, "vhosts/"+name, nil); err != nil {
		t.Fatalf("testenv: create a vhost: %v", err)
	}
	t.Cleanup(func() {
		if err := manage(broker.admin, http.MethodDelete, "vhosts/"+name, nil); err != nil {
			t.Errorf("testenv: delete the test's vhost: %v", err)
		}
	})
	amqp, err := url.Parse(broker.amqp)
	if err != nil {
		t.Fatalf("testenv: the broker's URL: %v", err)
	}
	// Over HTTP, the user who creates a vhost gets all permissions on it; the URL's may be another.
	if err := manage(broker.admin, http.MethodPut, "permissions/"+name+"/"+url.PathEscape(amqp.User.Username()),
		map[string]string{"configure": ".*", "write": ".*", "read": ".*"}); err != nil {
		t.Fatalf("testenv: permissions on the vhost: %v", err)
	}
	topology, err := projectTopology()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	if err := manage(broker.admin, http.MethodPost, "definitions/"+name, topology); err != nil {
		t.Fatalf("testenv: import the definitions: %v", err)
	}
	amqp.Path = "/" + name
	return amqp.String()
}

// projectTopology reads exchanges, queues and bindings from the project's
// definitions, without the vhost they name there.
func projectTopology() (map[string][]map[string]any, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "rabbitmq", "definitions.json"))
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("rabbitmq/definitions.json: %w", err)
	}
	topology := map[string][]map[string]any{}
	for _, kind := range []string{"exchanges", "queues", "bindings"} {
		var items []map[string]any
		if err := json.Unmarshal(all[kind], &items); err != nil {
			return nil, fmt.Errorf("rabbitmq/definitions.json: %s: %w", kind, err)
		}
		for _, item := range items {
			delete(item, "vhost")
		}
		topology[kind] = items
	}
	return topology, nil
}

// manage calls the broker's management API.
func manage(admin, method, path string, body any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var payload bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&payload).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(admin, "/")+"/api/"+path, &payload)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)); response.StatusCode/100 != 2 {
		return fmt.Errorf("%s /api/%s: %s: %s", method, path, response.Status, answer)
	}
	return nil
}

package examples

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

const startTimeout = time.Minute

// order is the resource that all the apps serve.
type order struct {
	ID     int64  `json:"id,omitempty"`
	Number string `json:"number"`
	Paid   bool   `json:"paid"`
	Lines  []line `json:"lines"`
	// State and Fields are in some of the apps only.
	State  string         `json:"state,omitempty"`
	Fields map[string]any `json:"fields,omitempty"`
}

type line struct {
	Article  string `json:"article"`
	Quantity int    `json:"quantity"`
}

// app is a tenant's app, running as a process with what a kubelet would give it.
type app struct {
	*program
	url string
}

// start starts the app as the tenant's Deployment describes it. It ends with the test program, or by stop.
func start(ctx context.Context, tenant *v1alpha1.Tenant, framework string) (*app, error) {
	pod, err := podOf(ctx, tenant, "app")
	if err != nil {
		return nil, err
	}
	started, err := launch(ctx, tenant, framework, pod)
	if err != nil {
		return nil, err
	}
	return &app{program: started, url: fmt.Sprintf("http://%s:%s", started.environment["HOST"], started.environment["PORT"])}, nil
}

// waitReady waits until the app answers. Some migrate their database before that.
func (a *app) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return a.WaitReady(ctx, func(ctx context.Context) error {
		_, err := a.name(ctx)
		return err
	})
}

// name returns the name that the app takes from its config.
func (a *app) name(ctx context.Context) (string, error) {
	var answer struct {
		Shop string `json:"shop"`
	}
	code, err := a.call(ctx, http.MethodGet, "/healthz", nil, &answer)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s is not healthy: %d", a.Name(), code)
	}
	return answer.Shop, err
}

// orders returns the orders that the app sees.
func (a *app) orders(ctx context.Context) []order {
	GinkgoHelper()
	var orders []order
	Expect(a.call(ctx, http.MethodGet, "/orders", nil, &orders)).To(Equal(http.StatusOK))
	return orders
}

// create has the app store a new order, and returns it.
func (a *app) create(ctx context.Context, wanted order) order {
	GinkgoHelper()
	var created order
	Expect(a.call(ctx, http.MethodPost, "/orders", wanted, &created)).To(Equal(http.StatusCreated))
	return created
}

// pay has the app change an order, if it exists.
func (a *app) pay(ctx context.Context, id int64) (code int, err error) {
	return a.call(ctx, http.MethodPatch, fmt.Sprintf("/orders/%d", id), map[string]bool{"paid": true}, nil)
}

// remove has the app delete an order, if it exists.
func (a *app) remove(ctx context.Context, id int64) (code int, err error) {
	return a.call(ctx, http.MethodDelete, fmt.Sprintf("/orders/%d", id), nil, nil)
}

// call sends a request with a body, unless that is nil, and decodes a successful answer into result, unless that
// is nil.
func (a *app) call(ctx context.Context, method, path string, body, result any) (code int, err error) {
	var content io.Reader = http.NoBody
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, content)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices || result == nil {
		return response.StatusCode, nil
	}
	return response.StatusCode, json.NewDecoder(response.Body).Decode(result)
}

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tenantry/tenantry/internal/plugin/answer"
)

// working is the metric that the replica of the operator that works has always had.
const working = "tenantry_operator_working"

// looks is at how many points of an interval the operator is looked for.
const looks = 1000

// Prometheus is one that scrapes the operator. All its errors are sentences for who runs the plugin.
type Prometheus struct {
	api v1.API
	// address is where it is, without a password.
	address string
	// namespace and service are those of the Service through which it is asked; empty for a URL.
	namespace, service string
	// matchers are further matchers of labels.
	matchers string
}

// ConnectPrometheus connects to the Prometheus at a URL, or behind NAMESPACE/SERVICE:PORT through the API server, to
// which connect connects. Only series with the matchers are read.
func ConnectPrometheus(address, matchers string, connect func() (*Connection, error)) (*Prometheus, error) {
	p := &Prometheus{address: address, matchers: matchers}
	var err error
	if strings.Contains(address, "://") {
		err = p.direct(address)
	} else {
		err = p.proxied(address, connect)
	}
	return p, err
}

func (p *Prometheus) direct(address string) error {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" || (at.Scheme != "http" && at.Scheme != "https") {
		return errors.New("--prometheus is no URL; write one such as http://localhost:9090")
	}
	p.address = at.Redacted()
	return p.dial(api.Config{Address: address})
}

func (p *Prometheus) proxied(address string, connect func() (*Connection, error)) error {
	namespace, service, found := strings.Cut(address, "/")
	if !found || namespace == "" || service == "" || strings.ContainsAny(service, "/?#") {
		return fmt.Errorf("--prometheus is %q; write a URL such as http://localhost:9090, or NAMESPACE/SERVICE:PORT to go through the API server", address)
	}
	c, err := connect()
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(c.config)
	if err != nil {
		return err
	}
	base, _, err := rest.DefaultServerUrlFor(c.config)
	if err != nil {
		return err
	}
	p.namespace, p.service = namespace, service
	return p.dial(api.Config{Client: client, Address: base.JoinPath("api/v1/namespaces", namespace, "services", service, "proxy").String()})
}

func (p *Prometheus) dial(config api.Config) error {
	client, err := api.NewClient(config)
	if err == nil {
		p.api = v1.NewAPI(client)
	}
	return err
}

// Consumption returns what tenants have used in an interval.
func (p *Prometheus) Consumption(ctx context.Context, interval answer.Interval) (*answer.Consumption, error) {
	seen, err := p.seen(ctx, interval)
	if err != nil {
		return nil, err
	}
	counted := map[answer.Consumer]map[string]float64{}
	for i := range answer.Services {
		service := &answer.Services[i]
		for _, day := range interval.Days() {
			if err := p.count(ctx, service, day, counted); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case len(counted) > 0:
	case seen == 0:
		return nil, say(nil, "Prometheus at %s has no metrics of Tenantry %s: it keeps none of that time, doesn't scrape the operator, or --match leaves them out. See docs/monitoring.md.", p.address, interval)
	default:
		return nil, say(nil, "The operator had no counters of usage %s: it was older than this plugin, or no tenant had a quota for requests.cpu, requests.memory or requests.storage, or a database that can be measured.", interval)
	}
	result := &answer.Consumption{Interval: interval, Seen: seen}
	for _, consumer := range slices.SortedFunc(maps.Keys(counted), func(a, b answer.Consumer) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Class, b.Class))
	}) {
		result.Tenants = append(result.Tenants, answer.Consumed{Consumer: consumer, Counted: counted[consumer]})
	}
	return result, nil
}

// count adds by how much the counter of a service has grown for each tenant and class. Prometheus reads the samples of
// a day at a time, since it gives up on queries that take long.
func (p *Prometheus) count(ctx context.Context, service *answer.Service, day answer.Interval, counted map[answer.Consumer]map[string]float64) error {
	query := fmt.Sprintf("sum by (tenant, class) (increase(%s[%ds]))", p.series(service.Metric), int(day.Length().Seconds()))
	value, _, err := p.api.Query(ctx, query, day.To)
	if err != nil {
		return p.explain(ctx, err)
	}
	vector, isVector := value.(model.Vector)
	if !isVector {
		return say(nil, "What answers at %s is no Prometheus: it has a %s for an increase.", p.address, value.Type())
	}
	for _, sample := range vector {
		consumer := answer.Consumer{Tenant: string(sample.Metric["tenant"]), Class: string(sample.Metric["class"])}
		if counted[consumer] == nil {
			counted[consumer] = map[string]float64{}
		}
		counted[consumer][service.ID] += float64(sample.Value)
	}
	return nil
}

// seen returns the share of an interval in which a replica of the operator has worked.
func (p *Prometheus) seen(ctx context.Context, interval answer.Interval) (float64, error) {
	step := max(time.Second, (interval.Length() / looks).Round(time.Second))
	value, _, err := p.api.QueryRange(ctx, fmt.Sprintf("max(%s) > 0", p.series(working)), v1.Range{Start: interval.From, End: interval.To, Step: step})
	if err != nil {
		return 0, p.explain(ctx, err)
	}
	matrix, isMatrix := value.(model.Matrix)
	if !isMatrix || len(matrix) == 0 {
		return 0, nil
	}
	return float64(len(matrix[0].Values)) / float64(interval.Length()/step+1), nil
}

// series returns the selector of a metric.
func (p *Prometheus) series(metric string) string {
	if p.matchers == "" {
		return metric
	}
	return metric + "{" + p.matchers + "}"
}

// explain says what an error of a query means for who runs the plugin.
func (p *Prometheus) explain(ctx context.Context, err error) error {
	failed, unreachable := &v1.Error{}, &url.Error{}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &unreachable):
		return say(err, "Prometheus at %s doesn't answer: %v.", p.address, unreachable.Err)
	case !errors.As(err, &failed):
		return say(err, "Prometheus at %s doesn't answer: %v.", p.address, err)
	}
	if status := (&metav1.Status{}); p.service != "" && json.Unmarshal([]byte(failed.Detail), status) == nil && status.Kind == "Status" {
		return p.explainProxy(err, status)
	}
	switch failed.Type {
	case v1.ErrBadData:
		return say(err, "Prometheus at %s doesn't understand the query, perhaps because of --match: %s.", p.address, failed.Msg)
	case v1.ErrExec, v1.ErrTimeout, v1.ErrCanceled:
		return say(err, "Prometheus at %s has given up, perhaps because of too many series: %s.", p.address, failed.Msg)
	default:
		return say(err, "What answers at %s is no Prometheus, isn't ready, or doesn't let you in: %s.", p.address, failed.Msg)
	}
}

// explainProxy says why the API server has not reached a Service.
func (p *Prometheus) explainProxy(err error, status *metav1.Status) error {
	_, name, hasScheme := strings.Cut(p.service, ":")
	if !hasScheme || !strings.Contains(name, ":") {
		name = p.service
	}
	name, _, _ = strings.Cut(name, ":")
	switch status.Code {
	case http.StatusForbidden:
		right, known := answer.MissingRight(status.Message, name)
		if !known {
			break
		}
		return say(err, "%s A cluster admin can grant it: kubectl create role tenantry-usage --namespace=%s --verb=get --resource=services/proxy --resource-name=%s, and a RoleBinding. Or reach Prometheus in another way, such as kubectl port-forward, and write its URL.",
			right, p.namespace, p.service)
	case http.StatusUnauthorized:
		return say(err, "The API server doesn't know who you are: the credentials in the kubeconfig are missing, wrong or out of date.")
	case http.StatusNotFound:
		return say(err, "There is no Service %s in the namespace %s.", name, p.namespace)
	case http.StatusServiceUnavailable:
		return say(err, "The Service %s in the namespace %s has no pod that answers at this port: %s.", name, p.namespace, status.Message)
	}
	return say(err, "The API server can't reach Prometheus behind %s: %s.", p.address, status.Message)
}

package backend_test

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/internal/backend"
)

func TestWhichServiceAHostStandsFor(t *testing.T) {
	named := backend.Query{Namespace: "databases", Name: "postgresql"}
	for host, want := range map[string]backend.Query{
		"postgresql.databases.svc":                   named,
		"postgresql.databases.svc.cluster.local":     named,
		"postgresql.databases.svc.cluster.local.":    named,
		"postgresql-0.postgresql.databases.svc":      named,
		"postgresql-0.postgresql.databases.svc.k8s.": named,
		"10.96.0.7":          {ClusterIP: "10.96.0.7"},
		"fd00:10:96::7":      {ClusterIP: "fd00:10:96::7"},
		"127.0.0.1":          {},
		"pg.example":         {},
		"svc":                {},
		"databases.svc":      {},
		"a.b.c.d.svc.local":  {},
		"db.eu.svc-example":  {},
		"postgresql.default": {},
	} {
		got, ok := backend.QueryFor(host)
		if !ok {
			got = backend.Query{}
		}
		if got != want {
			t.Errorf("%s stands for %+v, want %+v", host, got, want)
		}
	}
}

func TestWhatIsBehindAService(t *testing.T) {
	pods := map[string]string{"app": "postgresql"}
	slice := func(number int32, addresses ...string) discoveryv1.EndpointSlice {
		return discoveryv1.EndpointSlice{
			Endpoints: []discoveryv1.Endpoint{{Addresses: addresses}},
			Ports: []discoveryv1.EndpointPort{
				{Name: new("pg"), Port: new(number)}, {Name: new("metrics"), Port: new(int32(9187))},
			},
		}
	}
	for _, test := range []struct {
		name      string
		selector  map[string]string
		port      corev1.ServicePort
		endpoints []discoveryv1.EndpointSlice
		resolves  bool
		want      backend.Backend
	}{
		{
			"pods with the Service's port", pods, corev1.ServicePort{Name: "pg", Port: 5432}, nil, true,
			backend.Backend{Selector: pods, Offered: true, Ports: tcp(5432)},
		},
		{
			"pods with another port", pods, corev1.ServicePort{Name: "pg", Port: 5432, TargetPort: intstr.FromInt32(15432)}, nil, true,
			backend.Backend{Selector: pods, Offered: true, Ports: tcp(15432)},
		},
		{
			"pods that each have their own port of that name", pods, corev1.ServicePort{Name: "pg", Port: 5432, TargetPort: intstr.FromString("pg")},
			[]discoveryv1.EndpointSlice{slice(5433, "10.1.0.4"), slice(5432, "10.1.0.3"), slice(5433, "10.1.0.5")}, false,
			backend.Backend{Selector: pods, Offered: true, Ports: tcp(5432, 5433)},
		},
		{
			"no pod with a port of that name", pods, corev1.ServicePort{Name: "pg", Port: 5432, TargetPort: intstr.FromString("pg")}, nil, false,
			backend.Backend{Selector: pods, Offered: true},
		},
		{
			"addresses", nil, corev1.ServicePort{Name: "pg", Port: 5432},
			[]discoveryv1.EndpointSlice{slice(5433, "192.0.2.8", "192.0.2.7"), slice(5433, "192.0.2.7")}, false,
			backend.Backend{Offered: true, Ports: tcp(5433), Addresses: []string{"192.0.2.7", "192.0.2.8"}},
		},
		{"another port", pods, corev1.ServicePort{Name: "pg", Port: 6432}, nil, true, backend.Backend{Selector: pods}},
		{
			"the port of another protocol", pods, corev1.ServicePort{Name: "pg", Port: 5432, Protocol: corev1.ProtocolUDP}, nil, true,
			backend.Backend{Selector: pods},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			service := &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: "databases", Name: "postgresql"},
				Spec: corev1.ServiceSpec{
					Selector: test.selector, Ports: []corev1.ServicePort{test.port}, ClusterIPs: []string{corev1.ClusterIPNone},
				},
			}
			test.want.Namespace, test.want.Name = "databases", "postgresql"
			got := backend.Of(backend.Found{Service: service, Endpoints: test.endpoints}, 5432, corev1.ProtocolTCP)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if backend.Resolves(service) != test.resolves {
				t.Errorf("it resolves: %t", !test.resolves)
			}
		})
	}
}

func TestARuleWithoutPeersOrPortsWouldOpenEverything(t *testing.T) {
	if rules := backend.Rules(nil, backend.Port{Protocol: corev1.ProtocolTCP, Number: 5432}); rules != nil {
		t.Errorf("without peers there is %v", rules)
	}
	if rules := backend.Rules(backend.Blocks([]string{"192.0.2.7", "pg.example"})); rules != nil {
		t.Errorf("without ports there is %v", rules)
	}
}

func tcp(numbers ...int32) []backend.Port {
	var ports []backend.Port
	for _, number := range numbers {
		ports = append(ports, backend.Port{Protocol: corev1.ProtocolTCP, Number: number})
	}
	return ports
}

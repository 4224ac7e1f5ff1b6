package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/cert"
)

const shop = "shop.acme.example"

// ingress returns an Ingress of a hostname, with the Secret "tls" and paths to port 80 of the Service "app".
func ingress(namespace, hostname string, age time.Duration, paths ...string) networkingv1.Ingress {
	made := networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "web", CreationTimestamp: metav1.NewTime(time.Unix(0, 0).Add(-age)),
	}}
	rule := networkingv1.IngressRule{Host: hostname}
	rule.HTTP = &networkingv1.HTTPIngressRuleValue{}
	for _, path := range paths {
		rule.HTTP.Paths = append(rule.HTTP.Paths, networkingv1.HTTPIngressPath{
			Path: path, PathType: new(networkingv1.PathTypePrefix),
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
				Name: "app", Port: networkingv1.ServiceBackendPort{Number: 80},
			}},
		})
	}
	made.Spec.Rules = []networkingv1.IngressRule{rule}
	made.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{hostname}, SecretName: "tls"}}
	return made
}

// clusterOf has the Service "app" and the Secret "tls" in the namespaces of the Ingresses.
func clusterOf(t *testing.T, ingresses ...networkingv1.Ingress) snapshot {
	t.Helper()
	certificate, key, err := cert.GenerateSelfSignedCertKey(shop, nil, nil)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	found := snapshot{ingresses: ingresses, services: map[types.NamespacedName]*corev1.Service{}, secrets: map[types.NamespacedName]*corev1.Secret{}}
	for number, namespace := range []string{"acme", "globex"} {
		found.services[types.NamespacedName{Namespace: namespace, Name: "app"}] = &corev1.Service{Spec: corev1.ServiceSpec{
			ClusterIP: []string{"10.96.0.20", "10.96.0.21"}[number], Ports: []corev1.ServicePort{{Name: "http", Port: 80}},
		}}
		found.secrets[types.NamespacedName{Namespace: namespace, Name: "tls"}] = &corev1.Secret{
			Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
		}
	}
	return found
}

func TestPlan(t *testing.T) {
	for name, test := range map[string]struct {
		ingresses []networkingv1.Ingress
		change    func(snapshot)
		// blocks are those of the hostnames that are served.
		blocks   map[string][]block
		refusals []string
	}{
		"a hostname leads to its Service": {
			ingresses: []networkingv1.Ingress{ingress("acme", shop, 0, "/")},
			blocks:    map[string][]block{shop: {{"/", "10.96.0.20:80"}}},
		},
		"a path stands for those below it, element by element": {
			ingresses: []networkingv1.Ingress{ingress("acme", shop, 0, "/orders")},
			blocks:    map[string][]block{shop: {{"= /orders", "10.96.0.20:80"}, {"/orders/", "10.96.0.20:80"}, {"/", ""}}},
		},
		"an exact path stands for itself": {
			ingresses: []networkingv1.Ingress{func() networkingv1.Ingress {
				made := ingress("acme", shop, 0, "/orders", "/orders")
				made.Spec.Rules[0].HTTP.Paths[1].PathType = new(networkingv1.PathTypeExact)
				made.Spec.Rules[0].HTTP.Paths[1].Backend.Service.Port = networkingv1.ServiceBackendPort{Name: "http"}
				return made
			}()},
			blocks: map[string][]block{shop: {{"= /orders", "10.96.0.20:80"}, {"/orders/", "10.96.0.20:80"}, {"/", ""}}},
		},
		"a hostname belongs to the oldest Ingress": {
			ingresses: []networkingv1.Ingress{ingress("globex", shop, 0, "/"), ingress("acme", shop, time.Hour, "/")},
			blocks:    map[string][]block{shop: {{"/", "10.96.0.20:80"}}},
			refusals:  []string{"globex: the hostname shop.acme.example belongs to the older Ingress web of namespace acme; choose another one"},
		},
		"a hostname whose owner has no certificate is nobody else's": {
			ingresses: []networkingv1.Ingress{ingress("globex", shop, 0, "/"), ingress("acme", shop, time.Hour, "/")},
			change:    func(s snapshot) { delete(s.secrets, types.NamespacedName{Namespace: "acme", Name: "tls"}) },
			refusals: []string{
				"acme: this rule of the hostname shop.acme.example is not served: there is no Secret tls of type kubernetes.io/tls; create it",
				"globex: the hostname shop.acme.example belongs to the older Ingress web of namespace acme; choose another one",
			},
		},
		"a certificate without its key keeps nobody else from being served": {
			ingresses: []networkingv1.Ingress{ingress("acme", shop, 0, "/"), ingress("globex", "crm.globex.example", 0, "/")},
			change: func(s snapshot) {
				s.secrets[types.NamespacedName{Namespace: "acme", Name: "tls"}].Data[corev1.TLSPrivateKeyKey] = nil
			},
			blocks:   map[string][]block{"crm.globex.example": {{"/", "10.96.0.21:80"}}},
			refusals: []string{"acme: this rule of the hostname shop.acme.example is not served: the Secret tls has no certificate with its key: tls: failed to find any PEM data in key input"},
		},
		"a path can't be more than a path": {
			ingresses: []networkingv1.Ingress{ingress("acme", shop, 0, "/;} server { listen 8443 ssl; }")},
			refusals:  []string{`acme: this rule of the hostname shop.acme.example is not served: the path "/;} server { listen 8443 ssl; }" has other characters than letters, digits and /._~-`},
		},
		"a Service that is missing": {
			ingresses: []networkingv1.Ingress{ingress("acme", shop, 0, "/")},
			change:    func(s snapshot) { clear(s.services) },
			refusals:  []string{"acme: this rule of the hostname shop.acme.example is not served: the path /: there is no Service app"},
		},
		"a Service without an address": {
			ingresses: []networkingv1.Ingress{ingress("acme", shop, 0, "/")},
			change: func(s snapshot) {
				s.services[types.NamespacedName{Namespace: "acme", Name: "app"}].Spec.ClusterIP = corev1.ClusterIPNone
			},
			refusals: []string{"acme: this rule of the hostname shop.acme.example is not served: the path /: the Service app has no address in the cluster; give it one by type ClusterIP"},
		},
		"a hostname without a certificate": {
			ingresses: []networkingv1.Ingress{func() networkingv1.Ingress {
				made := ingress("acme", shop, 0, "/")
				made.Spec.TLS = nil
				return made
			}()},
			refusals: []string{"acme: this rule of the hostname shop.acme.example is not served: it has no certificate; add it to spec.tls with the name of a Secret"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			found := clusterOf(t, test.ingresses...)
			if test.change != nil {
				test.change(found)
			}
			hosts, _, refusals := plan(found)
			var said []string
			for _, r := range refusals {
				said = append(said, r.of.GetNamespace()+": "+r.message)
			}
			blocks := map[string][]block{}
			for _, host := range hosts {
				blocks[host.Name] = host.Blocks()
			}
			g.Expect(said).To(Equal(test.refusals))
			if test.blocks == nil {
				test.blocks = map[string][]block{}
			}
			g.Expect(blocks).To(Equal(test.blocks))
		})
	}
}

func TestRender(t *testing.T) {
	g := NewWithT(t)
	hosts, _, _ := plan(clusterOf(t, ingress("acme", shop, 0, "/orders"), ingress("globex", "*.globex.example", 0, "/")))
	configuration, err := render("/run/gateway", hosts)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(configuration).To(HaveSuffix(`
    # Hostnames that nobody has are refused before a request is read.
    server {
        listen 8443 ssl default_server;
        ssl_reject_handshake on;
    }

    server {
        listen 8443 ssl;
        server_name ~^[^.]+\.globex\.example$;
        ssl_certificate /run/gateway/certificates/globex/tls.pem;
        ssl_certificate_key /run/gateway/certificates/globex/tls.pem;

        location / {
            proxy_pass http://10.96.0.21:80;
        }
    }

    server {
        listen 8443 ssl;
        server_name shop.acme.example;
        ssl_certificate /run/gateway/certificates/acme/tls.pem;
        ssl_certificate_key /run/gateway/certificates/acme/tls.pem;

        location = /orders {
            proxy_pass http://10.96.0.20:80;
        }

        location /orders/ {
            proxy_pass http://10.96.0.20:80;
        }

        location / {
            return 404;
        }
    }
}
`))
}

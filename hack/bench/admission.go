package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

const (
	// pairs is the number of tenant namespaces that are written to, and of their twins, which belong to no tenant.
	pairs = 10
	// warmup is the number of writes of each kind that are not measured.
	warmup = 20
	// limitRatio is the maximum time of a create, as a multiple of one that no policy applies to.
	limitRatio = 1.20
)

// admissionResult is the content of .local/bench-admission.json. Times are in seconds.
type admissionResult struct {
	Measurements []measurement `json:"measurements"`
	// WorstRatio is the highest ratio of all measurements.
	WorstRatio float64 `json:"worstRatio"`
}

// measurement compares creating objects of a kind in namespaces of tenants, where all policies apply, with
// creating them in equal namespaces where none applies. The two alternate.
type measurement struct {
	Kind    string `json:"kind"`
	Tenants int    `json:"tenants"`
	Clients int    `json:"clients"`
	// Samples is the number of objects on each side.
	Samples            int     `json:"samples"`
	NoneP50Seconds     float64 `json:"noneP50Seconds"`
	PoliciesP50Seconds float64 `json:"policiesP50Seconds"`
	RatioP50           float64 `json:"ratioP50"`
	NoneP99Seconds     float64 `json:"noneP99Seconds"`
	PoliciesP99Seconds float64 `json:"policiesP99Seconds"`
}

// creation returns the i-th object of a kind for a namespace of the tenant, or of no tenant if that is empty.
type creation struct {
	kind string
	make func(namespace, tenant string, i int) client.Object
}

var creations = []creation{
	{"pod", func(namespace, _ string, i int) client.Object { return benchPod(namespace, i) }},
	{"service", func(namespace, _ string, i int) client.Object {
		return &corev1.Service{ObjectMeta: benchMeta(namespace, i), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	}},
	{"ingress", func(namespace, _ string, i int) client.Object { return benchIngress(namespace, i) }},
	{"namespace", func(namespace, tenant string, i int) client.Object {
		created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", namespace, i)}}
		if tenant != "" {
			created.Labels = map[string]string{naming.LabelTenant: tenant}
		}
		return created
	}},
}

// measureAdmission measures with few tenants and with many, on one control plane.
func (b *bench) measureAdmission(ctx context.Context, sizes []int, samples int) (result admissionResult, err error) {
	say("starting a fresh control plane")
	s, err := newCluster(ctx, b.bin, filepath.Join(b.dir, "admission"))
	if err != nil {
		return result, err
	}
	defer func() { err = firstError(err, s.close()) }()
	if err := s.awaitGarbageCollector(ctx); err != nil {
		return result, err
	}
	standing, serial := 0, 0
	for _, tenants := range sizes {
		if err := b.provisionWalls(ctx, s, standing, tenants); err != nil {
			return result, err
		}
		if standing == 0 {
			if err := s.createTwins(ctx); err != nil {
				return result, err
			}
		}
		standing = tenants
		for _, clients := range []int{1, 16} {
			for _, creation := range creations {
				say("%d tenants, %d clients: creating %d of kind %s on either side", tenants, clients, samples, creation.kind)
				m := measurement{Kind: creation.kind, Tenants: tenants, Clients: clients, Samples: samples}
				if err := s.compare(ctx, creation, &m, serial); err != nil {
					return result, err
				}
				serial += warmup + samples
				result.Measurements = append(result.Measurements, m)
				result.WorstRatio = max(result.WorstRatio, m.RatioP50)
			}
		}
	}
	return result, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// provisionWalls lets the operator provision tenants that have only walls, and then stops it, since the API server
// is to be measured.
func (b *bench) provisionWalls(ctx context.Context, s *site, from, to int) error {
	say("provisioning tenants until there are %d", to)
	manager, err := b.startOperator(ctx, s)
	if err != nil {
		return err
	}
	err = until(ctx, func(ctx context.Context) error {
		for i := from; i < to; i++ {
			if err := s.create(ctx, walls(tenantName(i))); err != nil {
				return err
			}
		}
		return nil
	}, func(ctx context.Context) error {
		return s.await(ctx, &v1alpha1.TenantList{}, to, "tenants Ready", isReady)
	})
	if err != nil {
		return firstError(err, manager.Stop())
	}
	return manager.Stop()
}

// walls returns a tenant with rules of each kind.
func walls(name string) *v1alpha1.Tenant {
	return &v1alpha1.Tenant{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.TenantSpec{
			Owners: []v1alpha1.Owner{{Kind: v1alpha1.OwnerKindUser, Name: "alice@" + name + ".example", Role: v1alpha1.OwnerRoleAdmin}},
			Policy: v1alpha1.PolicyRules{
				ImageRegistries: []v1alpha1.ImageRegistry{v1alpha1.ImageRegistry("registry.example/" + name + "/"), "docker.io/library/"},
				Hostnames:       []v1alpha1.HostnamePattern{v1alpha1.HostnamePattern("*." + name + ".example")},
				StorageClasses:  &v1alpha1.ClassRule{Allowed: []string{"fast"}},
				PriorityClasses: &v1alpha1.ClassRule{Allowed: []string{"high"}},
				IngressClasses:  &v1alpha1.ClassRule{Allowed: []string{"public"}},
				ServiceTypes:    []corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeLoadBalancer},
				NodeSelector:    &v1alpha1.NodeSelectorRule{Allowed: []v1alpha1.NodeLabel{{Key: "pool", Values: []string{"shared"}}}},
				Tolerations:     &v1alpha1.TolerationRule{Allowed: []v1alpha1.AllowedToleration{{Key: "pool"}}},
			},
		},
	}
}

func (s *site) createTwins(ctx context.Context) error {
	for i := range pairs {
		if err := s.createTwin(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// createTwin creates a namespace like that of a tenant, without the labels that the policies select by. It has the
// same container limits and the same Pod Security.
func (s *site) createTwin(ctx context.Context, i int) error {
	namespace, limits := &corev1.Namespace{}, &corev1.LimitRange{}
	if err := s.admin.Get(ctx, client.ObjectKey{Name: tenantName(i)}, namespace); err != nil {
		return err
	}
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: tenantName(i), Name: naming.ContainerLimits}, limits); err != nil {
		return err
	}
	twin := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: twinName(i), Labels: namespace.Labels}}
	for _, label := range []string{naming.LabelTenant, naming.LabelManagedBy, corev1.LabelMetadataName} {
		delete(twin.Labels, label)
	}
	return s.create(ctx, twin, &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: twin.Name, Name: limits.Name}, Spec: limits.Spec,
	})
}

func twinName(i int) string { return fmt.Sprintf("twin-%04d", i) }

// compare creates objects alternately in namespaces of tenants and in their twins, so that other load on the
// machine affects both.
func (s *site) compare(ctx context.Context, creation creation, m *measurement, serial int) error {
	none, policies := make([]float64, m.Samples+warmup), make([]float64, m.Samples+warmup)
	creating, ctx := errgroup.WithContext(ctx)
	for worker := range m.Clients {
		creating.Go(func() error {
			for i := worker; i < m.Samples+warmup; i += m.Clients {
				tenant := tenantName(i % pairs)
				sides := []func() error{
					func() error { return s.timed(ctx, creation.make(twinName(i%pairs), "", serial+i), &none[i]) },
					func() error { return s.timed(ctx, creation.make(tenant, tenant, serial+i), &policies[i]) },
				}
				if i/pairs%2 == 1 {
					slices.Reverse(sides)
				}
				if err := firstError(sides[0](), sides[1]()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := creating.Wait(); err != nil {
		return err
	}
	m.NoneP50Seconds, m.NoneP99Seconds = percentiles(none[warmup:])
	m.PoliciesP50Seconds, m.PoliciesP99Seconds = percentiles(policies[warmup:])
	m.RatioP50 = m.PoliciesP50Seconds / m.NoneP50Seconds
	return nil
}

func (s *site) timed(ctx context.Context, object client.Object, seconds *float64) error {
	start := time.Now()
	err := s.admin.Create(ctx, object)
	*seconds = time.Since(start).Seconds()
	return err
}

func percentiles(values []float64) (p50, p99 float64) {
	slices.Sort(values)
	return values[len(values)/2], values[(len(values)*99+99)/100-1]
}

func benchMeta(namespace string, i int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("bench-%06d", i)}
}

// benchPod returns a pod that the scheduler ignores, so that it costs nothing after its creation.
func benchPod(namespace string, i int) client.Object {
	return &corev1.Pod{
		ObjectMeta: benchMeta(namespace, i),
		Spec: corev1.PodSpec{
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "tenantry.dev/bench"}},
			NodeSelector:    map[string]string{"pool": "shared"},
			Tolerations:     []corev1.Toleration{{Key: "pool", Operator: corev1.TolerationOpExists}},
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "main", Image: "nginx:1",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

func benchIngress(namespace string, i int) client.Object {
	return &networkingv1.Ingress{
		ObjectMeta: benchMeta(namespace, i),
		Spec: networkingv1.IngressSpec{
			IngressClassName: new("public"),
			Rules: []networkingv1.IngressRule{{
				Host: fmt.Sprintf("shop-%d.%s.example", i, namespace),
				IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
					Paths: []networkingv1.HTTPIngressPath{{
						Path: "/", PathType: new(networkingv1.PathTypePrefix),
						Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
							Name: "app", Port: networkingv1.ServiceBackendPort{Number: 80},
						}},
					}},
				}},
			}},
		},
	}
}

func (r admissionResult) print() {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "kind\ttenants\tclients\tnone p50 ms\tpolicies p50 ms\tratio\tat most\tnone p99 ms\tpolicies p99 ms\t")
	for _, m := range r.Measurements {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", m.Kind, m.Tenants, m.Clients,
			m.NoneP50Seconds*1e3, m.PoliciesP50Seconds*1e3, m.RatioP50, limitRatio, m.NoneP99Seconds*1e3, m.PoliciesP99Seconds*1e3)
	}
	table.Flush()
}

// runAdmission measures, prints a table and writes .local/bench-admission.json.
func (b *bench) runAdmission(ctx context.Context, root string, sizes []int, samples int) error {
	result, err := b.measureAdmission(ctx, sizes, samples)
	if err != nil {
		return err
	}
	result.print()
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, ".local", "bench-admission.json"), append(text, '\n'), 0o644)
}

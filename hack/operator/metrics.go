package operator

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/hack/metrics"
)

// metricsAccount is a ServiceAccount that may only read the operator's metrics.
const metricsAccount = "tenantry-tools-metrics"

// Metrics reads the metrics of an operator.
type Metrics struct {
	*metrics.Reader
}

// Metrics returns a reader of the operator's metrics. It uses a ServiceAccount with the right to read them, which
// admin creates if necessary.
func (o *Operator) Metrics(ctx context.Context, admin client.Client) (*Metrics, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: metricsAccount}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: metricsAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tenantry-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: Namespace, Name: metricsAccount}},
	}
	for _, object := range []client.Object{account, binding} {
		if err := client.IgnoreAlreadyExists(admin.Create(ctx, object)); err != nil {
			return nil, err
		}
	}
	token := &authenticationv1.TokenRequest{}
	if err := admin.SubResource("token").Create(ctx, account, token); err != nil {
		return nil, err
	}
	reader, err := metrics.NewReader(o.MetricsURL, &rest.Config{
		BearerToken: token.Status.Token,
		// The operator signs its certificate itself.
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
	})
	return &Metrics{reader}, err
}

// Reconciles returns how many reconciles the controller with that name has done since the operator was started.
func (m *Metrics) Reconciles(ctx context.Context, controller string) (int, error) {
	total, err := m.Sum(ctx, "controller_runtime_reconcile_total", metrics.Labels{"controller": controller})
	return int(total), err
}

// Busy returns how many objects the controller with that name is reconciling or has in its queue.
func (m *Metrics) Busy(ctx context.Context, controller string) (int, error) {
	waiting, err := m.Sum(ctx, "workqueue_depth", metrics.Labels{"name": controller})
	if err != nil {
		return 0, err
	}
	active, err := m.Sum(ctx, "controller_runtime_active_workers", metrics.Labels{"controller": controller})
	return int(waiting + active), err
}

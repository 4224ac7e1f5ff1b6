package problem_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
)

func TestEachProblemSaysWhatToDo(t *testing.T) {
	claims := schema.GroupResource{Resource: "persistentvolumeclaims"}
	size := resource.MustParse("20Gi")
	pod := problem.Pod{Namespace: "acme", Name: "app-1", Node: "node-1", Field: "spec.app"}
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name    string
		problem problem.Problem
		reason  string
		stalled bool
		retry   problem.Retry
		message string
	}{
		{"WaitsForNamespace", problem.WaitsForNamespace(), "Progressing", false, problem.OnChange, "It waits for the namespace."},
		{
			"WaitsForQuotaToBeInPlace", problem.WaitsForQuotaToBeInPlace(), "Progressing", false, problem.OnChange,
			"It waits for the quota; QuotaReady says",
		},
		{
			"WaitsForQuota", problem.WaitsForQuota("acme-dev"), "Progressing", false, problem.OnChange,
			`It waits until the cluster enforces ResourceQuota "tenant" in namespace "acme-dev"; if that takes`,
		},
		{
			"NamespaceConflict", problem.NamespaceConflict("acme-dev", `It belongs to Tenant "x".`), "Conflict", true, problem.OnChange,
			`The namespace acme-dev can't be the tenant's. It belongs to Tenant "x".`,
		},
		{"NamespaceLimitExceeded", problem.NamespaceLimitExceeded(2, "a and b"), "NamespaceLimitExceeded", true, problem.OnChange, "raise spec.namespaces.limit."},
		{"QuotaBelowUse", problem.QuotaBelowUse("pods 3 of 2"), "QuotaBelowUse", true, problem.OnChange, "More is in use than the quota allows: pods 3 of 2."},
		{"HostnamesTaken", problem.HostnamesTaken([]string{"a.example", "b.example"}), "Conflict", true, problem.OnChange, "a.example, b.example; take them out of spec.policy.hostnames"},
		{"ClusterRolesMissing", problem.ClusterRolesMissing([]string{"a"}), "Forbidden", true, problem.Later, "There is no ClusterRole a; create it, or leave it out of spec.owners."},
		{"ClusterRolesForbidden", problem.ClusterRolesForbidden([]string{"a"}), "Forbidden", true, problem.Later, "--resource-name=a && kubectl create clusterrolebinding"},
		{"Pod.NotRunning", pod.NotRunning("ErrImagePull", "no such image."), "ErrImagePull", false, problem.OnChange, "Pod app-1 does not run: no such image. Correct spec.app.image, or"},
		{"Pod.Ends", pod.Ends("CrashLoopBackOff", "back-off 10s.", "app", "it has ended", false), "CrashLoopBackOff", false, problem.OnChange, "Pod app-1 does not run: back-off 10s; it has ended. \"kubectl logs --namespace acme app-1 --container app --previous\" has its last words; correct spec.app."},
		{"Pod.Ends, for its memory", pod.Ends("OOMKilled", "it has ended", "app", "it has ended", true), "OOMKilled", false, problem.OnChange, "Pod app-1 does not run: it has ended. It needs more memory than its limit; raise spec.app.resources.limits.memory."},
		{"Pod.NotReady", pod.NotReady("its probe fails", "9:00"), "Unhealthy", false, problem.OnChange, "Pod app-1 is not ready since 9:00: its probe fails. See"},
		{"Pod.NeverReady", pod.NeverReady("app", "9:00"), "Unhealthy", false, problem.OnChange, "Pod app-1 is not ready: its container \"app\" runs since 9:00, and its readiness probe has not succeeded. See"},
		{"Pod.NodeSilent", pod.NodeSilent("9:00"), "NodeNotReady", false, problem.OnChange, "Pod app-1 is not ready since 9:00: its node node-1 does not answer. Kubernetes replaces"},
		{"Pod.StartsSlowly", pod.StartsSlowly("app", "9:00"), "ContainerCreating", false, problem.OnChange, "Pod app-1 has a node since 9:00, and its container \"app\" is not made yet. See"},
		{"Pod.Hangs, by its node", pod.Hangs("9:00", nil), "Terminating", false, problem.OnChange, "Pod app-1 hangs in Terminating since 9:00: its node node-1 does not say"},
		{"Pod.Hangs, by finalizers", pod.Hangs("9:00", []string{"a.example/b"}), "Terminating", false, problem.OnChange, "Pod app-1 hangs in Terminating since 9:00: it has the finalizers a.example/b. Have"},
		{"Lasting, within the grace", pod.NodeSilent("9:00").Lasting(noon, noon.Add(29*time.Second)), "NodeNotReady", false, problem.OnChange, "does not answer"},
		{"Lasting, after the grace", pod.NodeSilent("9:00").Lasting(noon, noon.Add(30*time.Second)), "NodeNotReady", true, problem.OnChange, "does not answer"},
		{"Lasting, of what takes its time", problem.WaitsForNamespace().Lasting(noon, noon.Add(time.Hour)), "Progressing", false, problem.OnChange, "It waits"},
		{"RolloutStuck", problem.RolloutStuck("ProgressDeadlineExceeded", "It timed out."), "ProgressDeadlineExceeded", false, problem.OnChange, "The app's pods do not become ready: It timed out."},
		{"KeepsChanging", problem.KeepsChanging(`Service "app"`, "argocd"), "Failed", false, problem.Again, `It was last changed by "argocd"; if that lasts, have "argocd" leave it alone.`},
		{"KeepsChanging, by an unknown one", problem.KeepsChanging(`Service "app"`, ""), "Failed", false, problem.Again, "Find out what else writes it, and have that leave it alone."},
		{
			"a 403 for pods of the app: a quota", problem.App.PodsRefused(`pods "app-1" is forbidden: exceeded quota: tenant, requested: pods=1, used: pods=2, limited: pods=2`),
			"QuotaExceeded", false, problem.OnChange, "The app's pods need more than the quota leaves: requested: pods=1, used: pods=2, limited: pods=2. Raise spec.quota",
		},
		{
			"a 403 for pods of a worker that scales: a quota", problem.Worker("mail").Scaled().PodsRefused(`pods "mail-1" is forbidden: exceeded quota: tenant, requested: pods=1, used: pods=2, limited: pods=2`),
			"QuotaExceeded", false, problem.OnChange, "Raise spec.quota, or lower spec.app.workers[mail].resources or spec.app.workers[mail].autoscaling.maxReplicas.",
		},
		{
			"a 403 for pods of the app: a quota that is new", problem.App.PodsRefused(`pods "app-1" is forbidden: status unknown for quota: tenant, resources: pods`),
			"Progressing", false, problem.OnChange, "The app waits until the cluster has counted the new quota.",
		},
		{
			"a 403 for pods of the app: a policy", problem.App.PodsRefused(`pods "app-1" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: No latest.`),
			"Forbidden", false, problem.OnChange, "denied request: No latest. Change spec.app so that it complies",
		},
		{
			"a 403 for pods of the app: container limits", problem.App.PodsRefused(`pods "app-1" is forbidden: maximum cpu usage per Container is 1`),
			"Forbidden", false, problem.OnChange, `The API server refuses the app's pods: pods "app-1" is forbidden: maximum cpu usage per Container is 1.`,
		},

		{"ExposedHostnamesTaken", problem.ExposedHostnamesTaken([]string{"a.example"}), "Conflict", true, problem.OnChange, "The app is not exposed at a.example, which an older tenant has; choose others in spec.app.expose.hostnames."},
		{"NoGatewayAPI", problem.NoGatewayAPI(), "GatewayNotFound", true, problem.OnChange, "have the Gateway API installed, or write spec.app.expose.ingressClassName instead."},
		{"GatewayNotFound", problem.GatewayNotFound("gateways", "edge"), "GatewayNotFound", true, problem.OnChange, "There is no Gateway edge in namespace gateways; create it, or name another one in spec.app.expose.gatewayRef."},
		{
			"IngressClassNotFound", problem.IngressClassNotFound("public", []string{"a", "b"}), "IngressClassNotFound", true, problem.OnChange,
			"There is no IngressClass public; write one that is there in spec.app.expose.ingressClassName: the cluster has a, b.",
		},
		{"IngressClassNotFound, without a default", problem.IngressClassNotFound("", []string{"a"}), "IngressClassNotFound", true, problem.OnChange, "No IngressClass is the cluster's default; name one in spec.app.expose.ingressClassName: the cluster has a."},
		{"IngressClassNotFound, without any", problem.IngressClassNotFound("", nil), "IngressClassNotFound", true, problem.OnChange, "an ingress controller must be installed first."},
		{"IngressClassForbidden", problem.IngressClassForbidden("public", []string{"a"}), "Forbidden", true, problem.OnChange, "Write one of these in spec.app.expose.ingressClassName, or allow public."},
		{"NetworkPeersOfClassUnknown", problem.NetworkPeersOfClassUnknown("public"), "NetworkPeersUnknown", true, problem.OnChange, "kubectl annotate ingressclass public tenantry.dev/network-peers=NAMESPACE"},
		{"NetworkPeersOfGatewayUnknown", problem.NetworkPeersOfGatewayUnknown("gateways", "edge"), "NetworkPeersUnknown", true, problem.OnChange, "kubectl annotate --overwrite gateway --namespace gateways edge tenantry.dev/network-peers=NAMESPACE"},
		{"WaitsForCertificate", problem.WaitsForCertificate("acme", "app-tls"), "Progressing", false, problem.OnChange, `"kubectl describe certificate --namespace acme app-tls" says why.`},
		{"CertificateNotFound", problem.CertificateNotFound("acme", "app-tls"), "SecretNotFound", true, problem.OnChange, `"kubectl create secret tls app-tls --namespace acme --cert=FILE --key=FILE"`},
		{"RouteNotAccepted", problem.RouteNotAccepted("gateways", "edge", "NoMatchingParent", ""), "NoMatchingParent", true, problem.OnChange, "Gateway edge in namespace gateways doesn't accept HTTPRoute app: NoMatchingParent."},
		{"RouteNotResolved", problem.RouteNotResolved("BackendNotFound", "No Service app."), "BackendNotFound", false, problem.OnChange, "HTTPRoute app leads nowhere: No Service app."},
		{"RouteIgnored", problem.RouteIgnored("gateways", "edge"), "GatewayNotReady", false, problem.OnChange, "see that the controller of Gateway edge in namespace gateways runs."},
		{"VolumeShrinks", problem.VolumeShrinks("data", "10Gi", "5Gi"), "Immutable", true, problem.OnChange, "Volume data has 10Gi and can't shrink to 5Gi; write 10Gi or more in spec.app.volumes."},
		{"VolumeFixed", problem.VolumeFixed("data", "accessMode", "ReadWriteOnce"), "Immutable", true, problem.OnChange, "The accessMode of volume data is ReadWriteOnce, which is fixed once the volume is there;"},
		{"AppVolumeCannotGrow", problem.AppVolumeCannotGrow("data", "It is refused."), "Forbidden", true, problem.Later, "Volume data can't grow: It is refused. Have its StorageClass set allowVolumeExpansion"},
		{"VolumeOfAnother", problem.VolumeOfAnother(`PersistentVolumeClaim "app-data"`), "Conflict", true, problem.Later, "give the volume another name in spec.app.volumes."},

		{"ServerNotFound", problem.ServerNotFound("x"), "ServerNotFound", false, problem.OnChange, `There is no DatabaseServer "x"; create it, or name another one in spec.database.serverRef.`},
		{"ServerGone", problem.ServerGone("x"), "ServerNotFound", false, problem.OnChange, "remove the finalizer database.tenantry.dev/x from the Tenant."},
		{"ServerNotReady", problem.ServerNotReady("x", "It is down."), "ServerNotReady", false, problem.OnChange, `DatabaseServer "x" is not ready: It is down.`},
		{"ServerTerminating", problem.ServerTerminating("x"), "ServerNotReady", false, problem.OnChange, `DatabaseServer "x" is being deleted; name another one`},
		{"ServerUnschedulable", problem.ServerUnschedulable("x"), "ServerUnschedulable", true, problem.OnChange, "take spec.unschedulable off the server."},
		{"NotConnected", problem.NotConnected(), "Progressing", false, problem.OnChange, "The operator is connecting to the database server."},
		{"ServerProgressing", problem.ServerProgressing("The server is starting."), "Progressing", false, problem.OnChange, "The server is starting."},
		{"OwnServerMissing", problem.OwnServerMissing(), "Progressing", false, problem.OnChange, "The tenant's own database server is being made."},
		{"OwnServerBehind", problem.OwnServerBehind(), "Progressing", false, problem.OnChange, "is being brought in line with the spec."},
		{"OwnServerStalled", problem.OwnServerStalled("Invalid", "The volume can't grow."), "Invalid", true, problem.OnChange, "The volume can't grow."},
		{
			"IsolationNotOffered", problem.IsolationNotOffered("x", []v1alpha1.DatabaseIsolation{"Database", "Row"}, "Schema"), "IsolationNotOffered", true, problem.OnChange,
			`DatabaseServer "x" offers the isolations [Database Row] and not Schema; write one of them, or name another server.`,
		},
		{"ExtensionNotOffered", problem.ExtensionNotOffered("x", []string{"citext"}, "plperlu"), "ExtensionNotOffered", true, problem.OnChange, `has the extensions [citext] and not plperlu; write some of them in spec.database.extensions`},
		{"InvalidSelector", problem.InvalidSelector(errors.New("no operator")), "Invalid", true, problem.OnChange, "spec.database.serverSelector is no selector: no operator."},
		{"PlacedElsewhere", problem.PlacedElsewhere("acme", "x", problem.HasDatabase), "Conflict", true, problem.Later, "The database is placed on the server x, and can't move; write that name in spec.database.serverRef."},
		{"PlacedElsewhere, on a server of its own", problem.PlacedElsewhere("acme", "dedicated-acme", problem.MayHaveDatabase), "Conflict", true, problem.Later, "write Dedicated in spec.database.isolation."},
		{"DatabaseLost", problem.DatabaseLost("x", "t_y"), "Conflict", true, problem.Later, "The server x no longer knows the tenant's database t_y; point the DatabaseServer back at the server that has it"},

		{"SecretNotFound", problem.SecretNotFound("ns", "admin"), "SecretNotFound", true, problem.Later, `There is no Secret "admin" in namespace "ns"; create it.`},
		{"SecretKeyMissing", problem.SecretKeyMissing("ns", "admin", "password"), "SecretNotFound", true, problem.Later, `The Secret "admin" in namespace "ns" has no key "password"; add it.`},
		{"Starting", problem.Starting("its pod is not ready yet"), "Progressing", false, problem.OnChange, "The server is starting; its pod is not ready yet."},
		{"StorageClassFixed", problem.StorageClassFixed("fast"), "Invalid", true, problem.OnChange, `The volume has the StorageClass "fast" and can't get another one; write that`},
		{"TooManyInstances", problem.TooManyInstances(3), "Invalid", true, problem.OnChange, "To run 3 instances takes CloudNativePG"},
		{
			"VolumeCannotGrow", problem.VolumeCannotGrow(&size, apierrors.NewForbidden(claims, "data", errors.New("only dynamically provisioned pvc can be resized"))),
			"Invalid", true, problem.OnChange, "The volume can't grow to 20Gi: ",
		},
		{
			"VolumeCannotGrow, for a quota", problem.VolumeCannotGrow(&size, apierrors.NewForbidden(claims, "data", errors.New("exceeded quota: storage, requested: requests.storage=10Gi, used: requests.storage=10Gi, limited: requests.storage=15Gi"))),
			"QuotaExceeded", false, problem.Later, `The quota leaves no room for persistentvolumeclaims "data": `,
		},
		{"DataNotFound", problem.DataNotFound("dedicated-acme", "t_x"), "Conflict", true, problem.OnChange, "correct spec.database.adopt of the Tenant, leave it out to start with an empty database, or restore the data there."},
		{"DataOfAnother", problem.DataOfAnother(`PersistentVolumeClaim "x"`), "Conflict", true, problem.OnChange, `PersistentVolumeClaim "x" has the data of another database; its annotation tenantry.dev/database says which`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.problem
			if got.Reason != test.reason || got.Stalled != test.stalled || got.Retry != test.retry {
				t.Errorf("it is %+v, want %s, stalled %t, retry %d", got, test.reason, test.stalled, test.retry)
			}
			if !strings.Contains(got.Message, test.message) {
				t.Errorf("it says %q, and not %q", got.Message, test.message)
			}
			first, _ := utf8.DecodeRuneInString(got.Message)
			if strings.Contains(got.Message, "%!") || unicode.IsLower(first) && !strings.HasPrefix(got.Message, "spec.") {
				t.Errorf("it is no sentence: %q", got.Message)
			}
			if wrapped := fmt.Errorf("a phase: %w", got); problem.Of(wrapped) != got || problem.OfServer(wrapped) != got || !errors.Is(wrapped, got) {
				t.Error("as an error it means something else")
			}
		})
	}
}

package dedicated_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/dedicated"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/service"
	"github.com/tenantry/tenantry/test/builders"
)

const host = "dedicated-acme-rw.tenantry-databases.svc"

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// ownDatabase is the database of a tenant that adopts none.
var ownDatabase = database.Name(string(builders.Tenant("acme").Build().UID))

// server returns the dedicated server of a tenant that asks for 2Gi.
func server(change func(*v1alpha1.DedicatedServer)) *v1alpha1.DatabaseServer {
	tenant := builders.Tenant("acme").Dedicated(func(spec *v1alpha1.DedicatedServer) {
		spec.Instances, spec.Storage, spec.Version = 1, new(resource.MustParse("2Gi")), "18"
		change(spec)
	}).Build()
	return dedicated.DatabaseServer(effective.Of(tenant), "t_abcdefghij2345672345")
}

func asIs(*v1alpha1.DedicatedServer) {}

func completed(t *testing.T, secrets dedicated.Secrets, at time.Time) dedicated.Secrets {
	t.Helper()
	completed, err := secrets.CompletePassword().CompleteCertificate(host, at)
	if err != nil {
		t.Fatal(err)
	}
	return completed
}

func TestSecretsAreMadeOnceAndFitTogether(t *testing.T) {
	fresh := completed(t, dedicated.Secrets{}, now)
	if !service.IsGenerated(fresh.Password) || !database.Matches(fresh.Verifier, fresh.Password) {
		t.Error("the verifier is not that of a new password")
	}
	again := completed(t, fresh, now)
	if again.Password != fresh.Password || again.Verifier != fresh.Verifier || !bytes.Equal(again.Certificate, fresh.Certificate) {
		t.Error("secrets that are complete were changed")
	}
}

func TestSecretsThatAreLostOrDoNotFitAreReplaced(t *testing.T) {
	fresh, other := completed(t, dedicated.Secrets{}, now), completed(t, dedicated.Secrets{}, now)
	for _, test := range []struct {
		name                      string
		harm                      func(*dedicated.Secrets)
		at                        time.Time
		newPassword, newCertified bool
	}{
		{"the password is gone", func(s *dedicated.Secrets) { s.Password = "" }, now, true, false},
		{"somebody has chosen a password", func(s *dedicated.Secrets) { s.Password = "secret" }, now, true, false},
		{"the verifier is another password's", func(s *dedicated.Secrets) { s.Verifier = other.Verifier }, now, false, false},
		{"the key is gone", func(s *dedicated.Secrets) { s.Key = nil }, now, false, true},
		{"the authority is another one", func(s *dedicated.Secrets) { s.Authority = other.Authority }, now, false, true},
		{"the authority is gone", func(s *dedicated.Secrets) { s.Authority = nil }, now, false, true},
		{"the key is another one", func(s *dedicated.Secrets) { s.Key = other.Key }, now, false, true},
		{"the certificate has expired", func(*dedicated.Secrets) {}, now.AddDate(1, 0, 1), false, true},
		{"the certificate is about to expire", func(*dedicated.Secrets) {}, now.AddDate(1, 0, -20), false, true},
		{"the certificate has more than a third of its lifetime left", func(*dedicated.Secrets) {}, now.AddDate(0, 8, -2), false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			harmed := fresh
			test.harm(&harmed)
			got := completed(t, harmed, test.at)
			if changed := got.Password != fresh.Password; changed != test.newPassword {
				t.Errorf("new password: %t, want %t", changed, test.newPassword)
			}
			if changed := !bytes.Equal(got.Certificate, fresh.Certificate); changed != test.newCertified {
				t.Errorf("new certificate: %t, want %t", changed, test.newCertified)
			}
			if !database.Matches(got.Verifier, got.Password) {
				t.Error("the verifier is not that of the password")
			}
		})
	}
}

func objects(t *testing.T, in dedicated.Inputs) []desired.Object {
	t.Helper()
	in.Secrets = completed(t, in.Secrets, now)
	return append(dedicated.Objects(in), dedicated.Data(in))
}

func find[T desired.Object](t *testing.T, all []desired.Object) T {
	t.Helper()
	at := slices.IndexFunc(all, func(object desired.Object) bool { _, is := object.(T); return is })
	if at < 0 {
		t.Fatalf("there is no %T among the objects", *new(T))
	}
	return all[at].(T)
}

func TestNoPasswordStandsInWhatIsNoSecret(t *testing.T) {
	in := dedicated.Inputs{Server: server(asIs), Provisioner: v1alpha1.ProvisionerStatefulSet}
	in.Secrets = completed(t, in.Secrets, now)
	for _, object := range append(dedicated.Objects(in), dedicated.Data(in)) {
		secret, is := object.(*corev1.Secret)
		if is {
			if statement := string(secret.Data["login.sql"]); strings.Contains(statement, in.Secrets.Password) {
				t.Error("the statement that the server runs has the password in clear")
			}
			continue
		}
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), in.Secrets.Password) {
			t.Errorf("%T has the password", object)
		}
	}
}

func TestTheServerRestartsWhenWhatItReadsAtItsStartHasChanged(t *testing.T) {
	in := dedicated.Inputs{Server: server(asIs), Provisioner: v1alpha1.ProvisionerStatefulSet}
	template := func(secrets dedicated.Secrets) string {
		in.Secrets = secrets
		return find[*appsv1.StatefulSet](t, dedicated.Objects(in)).Spec.Template.Annotations["tenantry.dev/secrets"]
	}
	fresh := completed(t, dedicated.Secrets{}, now)
	otherPassword, otherCertificate := fresh, fresh
	otherPassword.Password = ""
	otherCertificate.Key = nil
	for name, changed := range map[string]dedicated.Secrets{"password": otherPassword, "certificate": otherCertificate} {
		if template(completed(t, changed, now)) == template(fresh) {
			t.Errorf("another %s does not restart it", name)
		}
	}
}

// claimed returns a bound claim.
func claimed(size string) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{
		VolumeName: "bound", StorageClassName: new("fast"),
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
	}}
	claim.Annotations = map[string]string{naming.AnnotationDatabase: ownDatabase, naming.AnnotationStorageClass: "fast"}
	claim.Status.Phase = corev1.ClaimBound
	return claim
}

func TestAClaimIsReplacedWhereNothingIsLostWithIt(t *testing.T) {
	pending := func(claim *corev1.PersistentVolumeClaim) {
		claim.Spec.VolumeName, claim.Status.Phase = "", corev1.ClaimPending
	}
	for _, test := range []struct {
		name   string
		spec   func(*v1alpha1.DedicatedServer)
		change func(*corev1.PersistentVolumeClaim)
		want   bool
	}{
		{"it waits for a volume that is too large", func(spec *v1alpha1.DedicatedServer) { spec.StorageClassName = "fast" }, pending, true},
		{"it waits for a volume of a class, and the default one is wanted", func(spec *v1alpha1.DedicatedServer) {
			spec.Storage = new(resource.MustParse("100Ti"))
		}, pending, true},
		{"it waits for a volume of another class", func(spec *v1alpha1.DedicatedServer) {
			spec.Storage, spec.StorageClassName = new(resource.MustParse("100Ti")), "slow"
		}, pending, true},
		{"it waits for what the spec asks for", func(spec *v1alpha1.DedicatedServer) {
			spec.Storage, spec.StorageClassName = new(resource.MustParse("100Ti")), "fast"
		}, pending, false},
		{"it has its volume", asIs, func(*corev1.PersistentVolumeClaim) {}, false},
		{"it has lost its volume", asIs, func(claim *corev1.PersistentVolumeClaim) { claim.Status.Phase = corev1.ClaimLost }, false},
		{"it is restored from a snapshot", asIs, func(claim *corev1.PersistentVolumeClaim) {
			pending(claim)
			claim.Spec.DataSourceRef = &corev1.TypedObjectReference{Kind: "VolumeSnapshot", Name: "nightly"}
		}, false},
		{"it is for data to adopt", asIs, func(claim *corev1.PersistentVolumeClaim) {
			pending(claim)
			claim.Annotations[naming.AnnotationDatabase] = "t_abcdefghij2345672345"
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := dedicated.Inputs{Server: server(test.spec), Volume: claimed("100Ti")}
			test.change(in.Volume)
			in.Server.Spec.Dedicated.Database = in.Volume.Annotations[naming.AnnotationDatabase]
			if got := in.Replaceable(); got != test.want {
				t.Errorf("it is replaceable: %v, want %v", got, test.want)
			}
		})
	}
}

func TestAVolumeGrowsAndNeverShrinks(t *testing.T) {
	for _, test := range []struct{ name, has, wants, want string }{
		{"a new one", "", "2Gi", "2Gi"},
		{"a larger one is wanted", "2Gi", "3Gi", "3Gi"},
		{"a smaller one is wanted", "3Gi", "2Gi", "3Gi"},
		{"the same one", "2Gi", "2048Mi", "2Gi"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := dedicated.Inputs{
				Server:      server(func(spec *v1alpha1.DedicatedServer) { spec.Storage = new(resource.MustParse(test.wants)) }),
				Provisioner: v1alpha1.ProvisionerStatefulSet,
			}
			if test.has != "" {
				in.Volume = claimed(test.has)
			}
			claim := dedicated.Data(in).(*corev1.PersistentVolumeClaim)
			if got := claim.Spec.Resources.Requests.Storage(); got.Cmp(resource.MustParse(test.want)) != 0 {
				t.Errorf("it asks for %s, want %s", got, test.want)
			}
			if in.Volume != nil && claim.Spec.VolumeName != "bound" {
				t.Error("it lost the volume that it is bound to")
			}
		})
	}
}

func TestNobodyButTheTenantAndTheOperatorReachesTheServer(t *testing.T) {
	for provisioner, rules := range map[v1alpha1.DatabaseServerProvisioner]int{
		v1alpha1.ProvisionerStatefulSet: 1, v1alpha1.ProvisionerCloudNativePG: 3,
	} {
		policy := find[*networkingv1.NetworkPolicy](t, objects(t, dedicated.Inputs{Server: server(asIs), Provisioner: provisioner}))
		if got := len(policy.Spec.Ingress); got != rules {
			t.Errorf("%s: %d rules, want %d", provisioner, got, rules)
		}
		for _, rule := range policy.Spec.Ingress {
			if len(rule.From) == 0 {
				t.Errorf("%s: a rule lets everybody in", provisioner)
			}
		}
	}
}

func TestAServerSaysInItsPodWhyItEnds(t *testing.T) {
	in := dedicated.Inputs{Server: server(asIs), Provisioner: v1alpha1.ProvisionerStatefulSet}
	pod := find[*appsv1.StatefulSet](t, objects(t, in)).Spec.Template.Spec
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		if container.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
			t.Errorf("container %s says it only in its logs, which no tenant can read", container.Name)
		}
	}
}

func TestTheImageFollowsFromTheVersionUnlessItIsGiven(t *testing.T) {
	for _, test := range []struct {
		provisioner v1alpha1.DatabaseServerProvisioner
		image, want string
	}{
		{v1alpha1.ProvisionerStatefulSet, "", "docker.io/library/postgres:18"},
		{v1alpha1.ProvisionerStatefulSet, "registry.example/postgres:18", "registry.example/postgres:18"},
		{v1alpha1.ProvisionerCloudNativePG, "", "ghcr.io/cloudnative-pg/postgresql:18"},
		{v1alpha1.ProvisionerCloudNativePG, "registry.example/postgres:18", "registry.example/postgres:18"},
	} {
		in := dedicated.Inputs{
			Server: server(func(spec *v1alpha1.DedicatedServer) { spec.Image = test.image }), Provisioner: test.provisioner,
		}
		text, err := json.Marshal(dedicated.Data(in))
		if test.provisioner == v1alpha1.ProvisionerStatefulSet {
			text, err = json.Marshal(find[*appsv1.StatefulSet](t, objects(t, in)))
		}
		if err != nil || !strings.Contains(string(text), `"`+test.want+`"`) {
			t.Errorf("%s with image %q does not run %s (%v)", test.provisioner, test.image, test.want, err)
		}
	}
}

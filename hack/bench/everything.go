package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/settings"
)

// What the apps of tenants that have everything need of their cluster.
const (
	ingressClass = "bench"
	storageClass = "bench"
)

// tenant returns a tenant that has some of everything, or all that an app can have.
func (s *site) tenant(name string) *v1alpha1.Tenant {
	created := tenant(name)
	if s.full {
		addEverything(created)
	}
	return created
}

// deploymentsPerTenant is how many Deployments a tenant has: of its app and its workers.
func (s *site) deploymentsPerTenant() int { return 1 + len(s.tenant("any").Spec.App.Workers) }

// addEverything adds a migration, workers, schedules, autoscaling, a public URL, settings and volumes.
func addEverything(created *v1alpha1.Tenant) {
	most := func(replicas int32) *v1alpha1.Autoscaling { return &v1alpha1.Autoscaling{MaxReplicas: replicas} }
	app := created.Spec.App
	app.Replicas, app.Autoscaling = nil, most(5)
	app.Migration = &v1alpha1.AppMigration{Command: []string{"./migrate"}}
	app.Workers = []v1alpha1.AppWorker{
		{Name: "mail", Command: []string{"./work", "mail"}, Replicas: new(int32(2))},
		{Name: "pictures", Command: []string{"./work", "pictures"}, Autoscaling: most(3)},
	}
	app.Schedules = []v1alpha1.AppSchedule{
		{Name: "bill", Schedule: "0 3 1 1 *", TimeZone: "UTC", Command: []string{"./bill"}},
		{Name: "clean-up", Schedule: "0 4 1 1 *", Command: []string{"./clean-up"}},
	}
	app.Expose = &v1alpha1.AppExposure{
		Hostnames: []v1alpha1.HostnamePattern{v1alpha1.HostnamePattern(created.Name + ".example")}, IngressClassName: ingressClass,
	}
	app.Volumes = []v1alpha1.AppVolume{
		{Name: "data", Storage: &v1alpha1.AppStorage{Size: resource.MustParse("1Gi"), StorageClassName: storageClass, AccessMode: corev1.ReadWriteMany}},
		{Name: "scratch", EmptyDir: &v1alpha1.AppEmptyDir{}},
	}
	app.VolumeMounts = []v1alpha1.AppVolumeMount{{Name: "data", MountPath: "/data"}, {Name: "scratch", MountPath: "/scratch"}}
	created.Spec.Features = map[string]apiextensionsv1.JSON{
		"new-checkout": {Raw: []byte(`true`)},
		"theme":        {Raw: []byte(`{"variants": {"light": "light", "dark": "dark"}, "defaultVariant": "dark"}`)},
	}
	created.Spec.CustomFields = map[string]apiextensionsv1.JSON{
		"order": {Raw: []byte(`{"type": "object", "properties": {"costCentre": {"type": "string", "pattern": "^[0-9]{4}$"}}}`)},
	}
}

func theIngressClass() *networkingv1.IngressClass {
	return &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: ingressClass, Annotations: map[string]string{"tenantry.dev/network-peers": "ingress-nginx"}},
		Spec:       networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"},
	}
}

// furnish adds to the cluster what apps with everything need: classes, and somebody who serves Ingresses.
func (s *site) furnish(ctx context.Context) error {
	if !s.full {
		return nil
	}
	if err := s.create(ctx, theIngressClass(), &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: storageClass}, Provisioner: "example.com/none",
	}); err != nil {
		return err
	}
	ingresses, err := s.admin.Watch(ctx, &networkingv1.IngressList{})
	if err != nil {
		return err
	}
	go s.serve(ctx, ingresses)
	return nil
}

// serve gives each Ingress an address, as its controller does.
func (s *site) serve(ctx context.Context, ingresses watch.Interface) {
	defer ingresses.Stop()
	address := client.RawPatch("application/merge-patch+json", []byte(`{"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.80"}]}}}`))
	for event := range ingresses.ResultChan() {
		ingress, isIngress := event.Object.(*networkingv1.Ingress)
		if !isIngress || event.Type != watch.Added {
			continue
		}
		if err := s.admin.Status().Patch(ctx, ingress, address); err != nil && ctx.Err() == nil {
			say("can't give Ingress %s/%s an address: %v", ingress.Namespace, ingress.Name, err)
		}
	}
}

// makeRoom creates the volume that the claim of each of the tenants is bound to.
func (s *site) makeRoom(ctx context.Context, tenants ...string) error {
	if !s.full {
		return nil
	}
	for _, name := range tenants {
		if err := s.create(ctx, &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.PersistentVolumeSpec{
				StorageClassName: storageClass, Capacity: quantities("storage", "1Gi"),
				AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
				PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/volumes/" + name}},
			},
		}); err != nil {
			return err
		}
	}
	return nil
}

// filesOf returns the files with a tenant's settings.
func filesOf(tenant *effective.Tenant) (files parts.Files, err error) {
	if files.Features, err = settings.Features(tenant.Spec.Features); err != nil {
		return files, fmt.Errorf("features: %w", err)
	}
	if files.CustomFields, err = settings.CustomFields(tenant.Spec.CustomFields); err != nil {
		return files, fmt.Errorf("custom fields: %w", err)
	}
	return files, nil
}

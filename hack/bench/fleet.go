package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/process"
)

const (
	// fewTenants is the small fleet that the large one is compared with.
	fewTenants = 10
	// tenantTouches and classTouches are how often a tenant, and a class, is changed in a round. One change of a class
	// costs less than a millisecond, so that it takes many until what the operator does anyway, such as renewing its
	// lease and collecting garbage, no longer decides what a change costs.
	tenantTouches, classTouches = 300, 1500
	// rounds is how many rounds there are.
	rounds          = 3
	classController = "tenantclass"
	// releaseTenants have an app and get a new image.
	releaseTenants = 300
	classTimeout   = 30 * time.Minute
)

// fleetResult is the content of .local/bench-fleet.json. Times are in seconds.
type fleetResult struct {
	// Sizes are what a change costs the operator, by the number of tenants of the class.
	Sizes []fleetSize `json:"sizes"`
	// TenantRatio and ClassRatio are the CPU time for a change in the largest fleet to that in the smallest.
	TenantRatio float64 `json:"tenantRatio"`
	ClassRatio  float64 `json:"classRatio"`
	// Release is a release of a new image.
	Release fleetRelease `json:"release"`
	// OtherCores is how many cores other programs used, in the round in which they used most.
	OtherCores float64 `json:"otherCores"`
}

// fleetSize has the measurements with that many tenants. Of several rounds, CPU times are the medians.
type fleetSize struct {
	Tenants int `json:"tenants"`
	// TenantRequests are the operator's requests for a change of one tenant, that of the class that follows included, and
	// ClassRequests those for a reconcile of the class alone.
	TenantRequests float64 `json:"tenantRequests"`
	ClassRequests  float64 `json:"classRequests"`
	// TenantCPUSeconds and ClassCPUSeconds are the operator's CPU time for it, with all that it does on receiving the
	// change from the API server.
	TenantCPUSeconds float64 `json:"tenantCpuSeconds"`
	ClassCPUSeconds  float64 `json:"classCpuSeconds"`
}

// fleetRelease has the measurements of a release.
type fleetRelease struct {
	Tenants         int     `json:"tenants"`
	MaxUnavailable  string  `json:"maxUnavailable"`
	Seconds         float64 `json:"seconds"`
	WritesPerTenant float64 `json:"writesPerTenant"`
	ClassWrites     int     `json:"classWrites"`
	// CPUSecondsPerTenant is the operator's CPU time for each.
	CPUSecondsPerTenant float64 `json:"cpuSecondsPerTenant"`
}

// fleetBench is a site with an operator, and no database server: none of the tenants has a database.
type fleetBench struct {
	*site
	manager *operator.Operator
	metrics *operator.Metrics
	result  fleetResult
}

// runFleet measures, prints tables and writes .local/bench-fleet.json.
func (b *bench) runFleet(ctx context.Context, root string, sizes []int) (err error) {
	s, err := newCluster(ctx, b.bin, filepath.Join(b.dir, "fleet"), operator.User)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.awaitGarbageCollector(ctx); err != nil {
		return err
	}
	f := &fleetBench{site: s}
	if f.manager, err = b.startOperator(ctx, s); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.manager.Stop()) }()
	if f.metrics, err = f.manager.Metrics(ctx, s.admin); err != nil {
		return err
	}
	if err := b.awaitPolicies(ctx, s); err != nil {
		return err
	}
	if err := f.measureRelease(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := f.measureSizes(ctx, sizes); err != nil {
		return err
	}
	f.result.print()
	text, err := json.MarshalIndent(f.result, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, ".local", "bench-fleet.json"), append(text, '\n'), 0o644)
}

// fleetClass returns a class.
func fleetClass(name string, spec v1alpha1.TenantSpec, maxUnavailable string) *v1alpha1.TenantClass {
	return &v1alpha1.TenantClass{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.TenantClassSpec{
			Tenant: spec, Rollout: v1alpha1.TenantClassRollout{MaxUnavailable: new(intstr.FromString(maxUnavailable))},
		},
	}
}

// populate creates tenants of a class up to a number, and waits until all are Ready.
func (f *fleetBench) populate(ctx context.Context, class string, from, to int) error {
	create := func(ctx context.Context) error {
		for i := from; i < to; i++ {
			tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%05d", class, i)}}
			tenant.Spec.ClassName = &class
			if err := f.create(ctx, tenant); err != nil {
				return err
			}
		}
		return nil
	}
	return until(ctx, create, func(ctx context.Context) error { return f.awaitClass(ctx, class, to) })
}

// awaitClass waits until a class is Ready, with so many tenants that are Ready and updated.
func (f *fleetBench) awaitClass(ctx context.Context, name string, tenants int) error {
	said := time.Now()
	return wait.PollUntilContextTimeout(ctx, metricsPollInterval, classTimeout, true, func(ctx context.Context) (bool, error) {
		class := &v1alpha1.TenantClass{}
		if err := f.admin.Get(ctx, client.ObjectKey{Name: name}, class); err != nil {
			return false, err
		}
		status := class.Status
		if time.Since(said) > progressEvery {
			said = time.Now()
			if ready := apimeta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
				say("%s: %s", name, ready.Message)
			}
		}
		count := func(value *int32) bool { return value != nil && int(*value) == tenants }
		return status.ObservedGeneration == class.Generation && status.StableRevision == status.CurrentRevision &&
			count(status.Ready) && count(status.Updated), nil
	})
}

// measureRelease gives the app of all tenants of a class a new image.
func (f *fleetBench) measureRelease(ctx context.Context) error {
	const name, share = "app", "10%"
	class := fleetClass(name, v1alpha1.TenantSpec{App: &v1alpha1.TenantApp{Image: "registry.example/shop:1", Port: 8080}}, share)
	if err := f.create(ctx, class); err != nil {
		return err
	}
	say("provisioning %d tenants with an app", releaseTenants)
	if err := f.populate(ctx, name, 0, releaseTenants); err != nil {
		return err
	}
	say("giving them a new image, %s at a time", share)
	cost, err := f.measured(ctx, func(ctx context.Context) error {
		if err := f.change(ctx, class, func() { class.Spec.Tenant.App.Image = "registry.example/shop:2" }); err != nil {
			return err
		}
		return f.awaitClass(ctx, name, releaseTenants)
	})
	if err != nil {
		return err
	}
	apps := &appsv1.DeploymentList{}
	if err := f.admin.List(ctx, apps); err != nil {
		return err
	}
	for i := range apps.Items {
		if image := apps.Items[i].Spec.Template.Spec.Containers[0].Image; image != class.Spec.Tenant.App.Image {
			return fmt.Errorf("the app of %s has the image %s", apps.Items[i].Namespace, image)
		}
	}
	f.result.Release = fleetRelease{
		Tenants: releaseTenants, MaxUnavailable: share, Seconds: cost.seconds, ClassWrites: cost.classWrites,
		WritesPerTenant: float64(cost.writes-cost.classWrites) / releaseTenants, CPUSecondsPerTenant: cost.cpu / releaseTenants,
	}
	return nil
}

// measureSizes measures fleets of growing size.
func (f *fleetBench) measureSizes(ctx context.Context, sizes []int) error {
	const name = "thin"
	class := fleetClass(name, v1alpha1.TenantSpec{Quota: quantities("pods", "5")}, "100%")
	if err := f.create(ctx, class); err != nil {
		return err
	}
	before := 0
	for _, size := range sizes {
		say("provisioning %d tenants with a quota and no app", size-before)
		if err := f.populate(ctx, name, before, size); err != nil {
			return err
		}
		before = size
		measured, err := f.measureSize(ctx, class, size)
		if err != nil {
			return fmt.Errorf("%d tenants: %w", size, err)
		}
		f.result.Sizes = append(f.result.Sizes, measured)
	}
	first, last := f.result.Sizes[0], f.result.Sizes[len(f.result.Sizes)-1]
	f.result.TenantRatio, f.result.ClassRatio = last.TenantCPUSeconds/first.TenantCPUSeconds, last.ClassCPUSeconds/first.ClassCPUSeconds
	return nil
}

// measureSize changes one tenant, and the class in a way that changes nothing of it, time after time.
func (f *fleetBench) measureSize(ctx context.Context, class *v1alpha1.TenantClass, size int) (fleetSize, error) {
	measured := fleetSize{Tenants: size}
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: class.Name + "-00000"}}
	ofTenant, err := f.measureRounds(ctx, "a tenant", tenantTouches, func(ctx context.Context, text string) error {
		return f.touchTenant(ctx, tenant, text)
	})
	if err != nil {
		return measured, err
	}
	measured.TenantCPUSeconds, measured.TenantRequests = median(ofTenant, tenantTouches)

	// The metrics have two series for each tenant and more, and to make them costs more than hundreds of reconciles, so
	// they are asked for before and after all rounds only.
	before, err := f.metrics.Reconciles(ctx, classController)
	if err != nil {
		return measured, err
	}
	ofClass, err := f.measureRounds(ctx, "the class", classTouches, func(ctx context.Context, text string) error {
		return f.touchClass(ctx, class, text)
	})
	if err != nil {
		return measured, err
	}
	after, err := f.metrics.Reconciles(ctx, classController)
	measured.ClassCPUSeconds, measured.ClassRequests = median(ofClass, float64(after-before)/rounds)
	return measured, err
}

// measureRounds measures rounds of changes.
func (f *fleetBench) measureRounds(ctx context.Context, of string, touches int, touch func(ctx context.Context, text string) error) ([]cost, error) {
	costs := make([]cost, rounds)
	for round := range costs {
		say("changing %s %d times, round %d of %d", of, touches, round+1, rounds)
		var err error
		costs[round], err = f.measured(ctx, func(ctx context.Context) error {
			for i := range touches {
				if err := touch(ctx, fmt.Sprintf("%s, %d, %d", time.Now(), round, i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return costs, nil
}

func (f *fleetBench) touchTenant(ctx context.Context, tenant *v1alpha1.Tenant, text string) error {
	if err := f.change(ctx, tenant, func() { tenant.Spec.DisplayName = text }); err != nil {
		return err
	}
	return f.observed(ctx, tenant, func() bool { return tenant.Status.ObservedGeneration == tenant.Generation })
}

func (f *fleetBench) touchClass(ctx context.Context, class *v1alpha1.TenantClass, text string) error {
	return f.change(ctx, class, func() { metav1.SetMetaDataAnnotation(&class.ObjectMeta, "bench", text) })
}

func (f *fleetBench) change(ctx context.Context, object client.Object, mutate func()) error {
	return wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, metricsTimeout, true, func(ctx context.Context) (bool, error) {
		if err := f.admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, err
		}
		mutate()
		return f.admin.Update(ctx, object) == nil, nil
	})
}

func (f *fleetBench) observed(ctx context.Context, object client.Object, done func() bool) error {
	return wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, metricsTimeout, true, func(ctx context.Context) (bool, error) {
		err := f.admin.Get(ctx, client.ObjectKeyFromObject(object), object)
		return err == nil && done(), err
	})
}

func (f *fleetBench) programs() []*process.Process {
	return append(f.kubernetes.Processes(), f.manager.Process)
}

func (f *fleetBench) rest(ctx context.Context) error { return awaitRest(ctx, f.programs()) }

// cost is what something costs the operator.
type cost struct {
	cpu, seconds                  float64
	requests, writes, classWrites int
}

// measured returns what the operator does from rest while something runs, and until all is at rest again.
func (f *fleetBench) measured(ctx context.Context, run func(context.Context) error) (cost, error) {
	if err := f.rest(ctx); err != nil {
		return cost{}, err
	}
	before, err := f.requests.requests(operator.User)
	if err != nil {
		return cost{}, err
	}
	meter, err := startMeter([]*process.Process{f.manager.Process}, f.programs())
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	if err := run(ctx); err != nil {
		return cost{}, err
	}
	result := cost{seconds: time.Since(began).Seconds()}
	if err := f.rest(ctx); err != nil {
		return cost{}, err
	}
	used, others, err := meter.read()
	if err != nil {
		return cost{}, err
	}
	f.result.OtherCores = max(f.result.OtherCores, others)
	result.cpu = used[f.manager.Name()]
	after, err := f.requests.requests(operator.User)
	sent := after[len(before):]
	result.requests, result.writes = len(sent), writes(sent)
	for _, event := range sent {
		if event.ObjectRef.Resource == "tenantclasses" {
			result.classWrites++
		}
	}
	return result, err
}

// median returns the CPU time and the requests for one of a number, in the round with the median of the CPU time.
func median(costs []cost, number float64) (cpu, requests float64) {
	slices.SortFunc(costs, func(a, b cost) int { return cmp.Compare(a.cpu, b.cpu) })
	middle := costs[len(costs)/2]
	return middle.cpu / number, float64(middle.requests) / number
}

func (r fleetResult) print() {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "tenants\trequests for a tenant\tits CPU ms\trequests for a reconcile of the class\tits CPU ms\t")
	for _, size := range r.Sizes {
		fmt.Fprintf(table, "%d\t%.2f\t%.2f\t%.2f\t%.2f\t\n", size.Tenants, size.TenantRequests, size.TenantCPUSeconds*1e3, size.ClassRequests, size.ClassCPUSeconds*1e3)
	}
	fmt.Fprintf(table, "ratio\t\t%.2f\t\t%.2f\tat most 1.20\n", r.TenantRatio, r.ClassRatio)
	table.Flush()
	fmt.Printf("A new image for %d tenants, %s at a time: %.1f s, %.2f writes and %.1f ms of CPU time for each, and %d writes of the class.\n",
		r.Release.Tenants, r.Release.MaxUnavailable, r.Release.Seconds, r.Release.WritesPerTenant, r.Release.CPUSecondsPerTenant*1e3, r.Release.ClassWrites)
	fmt.Printf("Other programs used up to %.2f cores.\n", r.OtherCores)
}

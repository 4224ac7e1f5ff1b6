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
	Sizes [2]fleetSize `json:"sizes"`
	// TenantRatio and ClassRatio are the CPU time for a change in the large fleet to that in the small one, in two rounds
	// one right after the other.
	TenantRatio spread `json:"tenantRatio"`
	ClassRatio  spread `json:"classRatio"`
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

// fleet is a site with an operator and a class, and no database server: none of the tenants has a database.
type fleet struct {
	*site
	manager *operator.Operator
	metrics *operator.Metrics
	class   *v1alpha1.TenantClass
	// tenants is how many tenants the class has.
	tenants int
	// otherCores is how many cores programs used that aren't those of a fleet, in the round in which they used most.
	otherCores float64
	// everything are the programs of all fleets.
	everything []*process.Process
}

// runFleet measures, prints tables and writes .local/bench-fleet.json. The two fleets exist at the same time, and are
// measured by turns: the same work takes a third longer at one time than at another.
func (b *bench) runFleet(ctx context.Context, root string, sizes [2]int) (err error) {
	few, err := b.startFleet(ctx, "few", sizes[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, few.close()) }()
	many, err := b.startFleet(ctx, "many", sizes[1])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, many.close()) }()
	fleets := [2]*fleet{few, many}
	few.everything = slices.Concat(few.programs(), many.programs())
	many.everything = few.everything
	var result fleetResult
	if result.Release, err = many.measureRelease(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	for _, f := range fleets {
		if err := f.provision(ctx); err != nil {
			return err
		}
	}
	if err := result.measure(ctx, fleets); err != nil {
		return err
	}
	result.OtherCores = max(few.otherCores, many.otherCores)
	result.print()
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, ".local", "bench-fleet.json"), append(text, '\n'), 0o644)
}

// startFleet starts a fleet without tenants.
func (b *bench) startFleet(ctx context.Context, name string, tenants int) (*fleet, error) {
	s, err := newCluster(ctx, b.bin, filepath.Join(b.dir, name), operator.User)
	if err != nil {
		return nil, err
	}
	f := &fleet{site: s, class: fleetClass("thin", v1alpha1.TenantSpec{Quota: quantities("pods", "5")}, "100%"), tenants: tenants}
	if err := f.start(ctx, b); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// start starts the operator, and waits until all is ready for tenants.
func (f *fleet) start(ctx context.Context, b *bench) (err error) {
	if err := f.awaitGarbageCollector(ctx); err != nil {
		return err
	}
	if f.manager, err = b.startOperator(ctx, f.site); err != nil {
		return err
	}
	if f.metrics, err = f.manager.Metrics(ctx, f.admin); err != nil {
		return err
	}
	return b.awaitPolicies(ctx, f.site)
}

// close stops everything.
func (f *fleet) close() error {
	var err error
	if f.manager != nil {
		err = f.manager.Stop()
	}
	return errors.Join(err, f.site.close())
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

// populate creates a number of tenants of a class, and waits until all are Ready.
func (f *fleet) populate(ctx context.Context, class string, number int) error {
	create := func(ctx context.Context) error {
		for i := range number {
			tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%05d", class, i)}}
			tenant.Spec.ClassName = &class
			if err := f.create(ctx, tenant); err != nil {
				return err
			}
		}
		return nil
	}
	return until(ctx, create, func(ctx context.Context) error { return f.awaitClass(ctx, class, number) })
}

// awaitClass waits until a class is Ready, with so many tenants that are Ready and updated.
func (f *fleet) awaitClass(ctx context.Context, name string, tenants int) error {
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
func (f *fleet) measureRelease(ctx context.Context) (fleetRelease, error) {
	const name, share = "app", "10%"
	class := fleetClass(name, v1alpha1.TenantSpec{App: &v1alpha1.TenantApp{Image: "registry.example/shop:1", Port: 8080}}, share)
	if err := f.create(ctx, class); err != nil {
		return fleetRelease{}, err
	}
	say("provisioning %d tenants with an app", releaseTenants)
	if err := f.populate(ctx, name, releaseTenants); err != nil {
		return fleetRelease{}, err
	}
	say("giving them a new image, %s at a time", share)
	cost, err := f.measured(ctx, func(ctx context.Context) error {
		if err := f.change(ctx, class, func() { class.Spec.Tenant.App.Image = "registry.example/shop:2" }); err != nil {
			return err
		}
		return f.awaitClass(ctx, name, releaseTenants)
	})
	if err != nil {
		return fleetRelease{}, err
	}
	apps := &appsv1.DeploymentList{}
	if err := f.admin.List(ctx, apps); err != nil {
		return fleetRelease{}, err
	}
	for i := range apps.Items {
		if image := apps.Items[i].Spec.Template.Spec.Containers[0].Image; image != class.Spec.Tenant.App.Image {
			return fleetRelease{}, fmt.Errorf("the app of %s has the image %s", apps.Items[i].Namespace, image)
		}
	}
	return fleetRelease{
		Tenants: releaseTenants, MaxUnavailable: share, Seconds: cost.seconds, ClassWrites: cost.classWrites,
		WritesPerTenant: float64(cost.writes-cost.classWrites) / releaseTenants, CPUSecondsPerTenant: cost.cpu / releaseTenants,
	}, nil
}

// provision creates the class and its tenants.
func (f *fleet) provision(ctx context.Context) error {
	if err := f.create(ctx, f.class); err != nil {
		return err
	}
	say("provisioning %d tenants with a quota and no app", f.tenants)
	return f.populate(ctx, f.class.Name, f.tenants)
}

// measure changes one tenant, and the class in a way that changes nothing of it, time after time, in each fleet by turns.
func (r *fleetResult) measure(ctx context.Context, fleets [2]*fleet) error {
	ofTenant, err := measureRounds(ctx, fleets, "a tenant", (*fleet).touchTenant, tenantTouches)
	if err != nil {
		return err
	}
	// The metrics have more than ten series for each tenant, and to make them costs more than hundreds of reconciles, so
	// they are asked for before and after all rounds only.
	var reconciles [2]int
	for i, f := range fleets {
		if reconciles[i], err = f.metrics.Reconciles(ctx, classController); err != nil {
			return err
		}
	}
	ofClass, err := measureRounds(ctx, fleets, "the class", (*fleet).touchClass, classTouches)
	if err != nil {
		return err
	}
	for i, f := range fleets {
		after, err := f.metrics.Reconciles(ctx, classController)
		if err != nil {
			return err
		}
		size := &r.Sizes[i]
		size.Tenants = f.tenants
		size.TenantCPUSeconds, size.TenantRequests = median(ofTenant[i], tenantTouches)
		size.ClassCPUSeconds, size.ClassRequests = median(ofClass[i], float64(after-reconciles[i])/rounds)
	}
	r.TenantRatio, r.ClassRatio = ratio(ofTenant), ratio(ofClass)
	return nil
}

// measureRounds measures rounds of changes, in each fleet by turns.
func measureRounds(ctx context.Context, fleets [2]*fleet, of string, touch func(f *fleet, ctx context.Context, text string) error, touches int) (costs [2][]cost, err error) {
	for round := range rounds {
		for i, f := range fleets {
			say("%d tenants: changing %s %d times, round %d of %d", f.tenants, of, touches, round+1, rounds)
			measured, err := f.measured(ctx, func(ctx context.Context) error {
				for i := range touches {
					if err := touch(f, ctx, fmt.Sprintf("%d, %d", round, i)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return costs, err
			}
			costs[i] = append(costs[i], measured)
		}
	}
	return costs, nil
}

func (f *fleet) touchTenant(ctx context.Context, text string) error {
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: f.class.Name + "-00000"}}
	if err := f.change(ctx, tenant, func() { tenant.Spec.DisplayName = text }); err != nil {
		return err
	}
	return f.observed(ctx, tenant, func() bool { return tenant.Status.ObservedGeneration == tenant.Generation })
}

func (f *fleet) touchClass(ctx context.Context, text string) error {
	return f.change(ctx, f.class, func() { metav1.SetMetaDataAnnotation(&f.class.ObjectMeta, "bench", text) })
}

func (f *fleet) change(ctx context.Context, object client.Object, mutate func()) error {
	return wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, metricsTimeout, true, func(ctx context.Context) (bool, error) {
		if err := f.admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, err
		}
		mutate()
		return f.admin.Update(ctx, object) == nil, nil
	})
}

func (f *fleet) observed(ctx context.Context, object client.Object, done func() bool) error {
	return wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, metricsTimeout, true, func(ctx context.Context) (bool, error) {
		err := f.admin.Get(ctx, client.ObjectKeyFromObject(object), object)
		return err == nil && done(), err
	})
}

func (f *fleet) programs() []*process.Process {
	return append(f.kubernetes.Processes(), f.manager.Process)
}

func (f *fleet) rest(ctx context.Context) error { return awaitRest(ctx, f.programs()) }

// cost is what something costs the operator.
type cost struct {
	cpu, seconds                  float64
	requests, writes, classWrites int
}

// measured returns what the operator does from rest while something runs, and until all is at rest again.
func (f *fleet) measured(ctx context.Context, run func(context.Context) error) (cost, error) {
	if err := f.rest(ctx); err != nil {
		return cost{}, err
	}
	before, err := f.requests.requests(operator.User)
	if err != nil {
		return cost{}, err
	}
	meter, err := startMeter([]*process.Process{f.manager.Process}, f.everything)
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
	f.otherCores = max(f.otherCores, others)
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

// ratio returns the CPU time in the second fleet to that in the first one, in the rounds by turns.
func ratio(costs [2][]cost) spread {
	ratios := make([]float64, rounds)
	for round := range ratios {
		ratios[round] = costs[1][round].cpu / costs[0][round].cpu
	}
	return spreadOf(ratios)
}

// median returns the CPU time and the requests for one of a number, in the round with the median of the CPU time.
func median(costs []cost, number float64) (cpu, requests float64) {
	sorted := slices.SortedFunc(slices.Values(costs), func(a, b cost) int { return cmp.Compare(a.cpu, b.cpu) })
	middle := sorted[len(sorted)/2]
	return middle.cpu / number, float64(middle.requests) / number
}

func (r fleetResult) print() {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "tenants\trequests for a tenant\tits CPU ms\trequests for a reconcile of the class\tits CPU ms\t")
	for _, size := range r.Sizes {
		fmt.Fprintf(table, "%d\t%.2f\t%.2f\t%.2f\t%.2f\t\n", size.Tenants, size.TenantRequests, size.TenantCPUSeconds*1e3, size.ClassRequests, size.ClassCPUSeconds*1e3)
	}
	table.Flush()
	for _, row := range []struct {
		what string
		spread
	}{{"tenant", r.TenantRatio}, {"class", r.ClassRatio}} {
		fmt.Printf("Ratio of the CPU time for a change of a %s: %.2f (%.2f to %.2f), asked is at most 1.20.\n", row.what, row.Median, row.Min, row.Max)
	}
	fmt.Printf("A new image for %d tenants, %s at a time: %.1f s, %.2f writes and %.1f ms of CPU time for each, and %d writes of the class.\n",
		r.Release.Tenants, r.Release.MaxUnavailable, r.Release.Seconds, r.Release.WritesPerTenant, r.Release.CPUSecondsPerTenant*1e3, r.Release.ClassWrites)
	fmt.Printf("Other programs used up to %.2f cores.\n", r.OtherCores)
}

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

var _ = Describe("The API server refuses", func() {
	tenant := func() *builders.TenantBuilder { return builders.Tenant("busy").App(image) }
	at := func(schedule string) *builders.TenantBuilder { return tenant().Schedule("bill", schedule, "/bill") }
	inZone := func(zone string) *v1alpha1.Tenant {
		built := at("0 3 * * *").Build()
		built.Spec.App.Schedules[0].TimeZone = zone
		return built
	}

	DescribeTable("an app with", func(ctx SpecContext, object any, sentence string) {
		if builder, ok := object.(*builders.TenantBuilder); ok {
			object = builder.Build()
		}
		err := env.Client.Create(ctx, object.(client.Object), client.DryRunAll)
		Expect(err).To(MatchError(ContainSubstring(sentence)))
	},
		Entry("two workers of one name", tenant().Worker("mail", 1, "/a").Worker("mail", 1, "/b"), "spec.app.workers[1]: Duplicate value"),
		Entry("two schedules of one name", at("@daily").Schedule("bill", "@daily", "/b"), "spec.app.schedules[1]: Duplicate value"),
		Entry("a worker and a schedule of one name", tenant().Worker("bill", 1, "/a").Schedule("bill", "@daily", "/b"), "a worker and a schedule have the same name; give each a name of its own"),
		Entry("a worker named like the app", tenant().Worker("app", 1, "/a"), "app and migration are the names of the app itself and of its migration; choose another name"),
		Entry("a schedule named like the migration", tenant().Schedule("migration", "@daily", "/a"), "app and migration are the names of the app itself and of its migration; choose another name"),
		Entry("a worker whose name no Deployment can have", tenant().Worker("Mail_Worker", 1, "/a"), "write at most 52 lower-case letters, digits and dashes, with a letter or digit at both ends"),
		Entry("a worker that would be the app once more", tenant().Worker("mail", 1), "a worker needs a program that differs from the app's; write its command or args"),
		Entry("a schedule without times", at(""), "a schedule needs the times at which it runs, and a program"),
		Entry("a schedule without a program", tenant().Schedule("bill", "@daily"), "a schedule needs the times at which it runs, and a program"),
		Entry("a migration without a program", tenant().Migration(), "a migration needs a program; write its command or args"),
		Entry("four fields", at("0 3 * *"), "schedule must be five fields with one space between them"),
		Entry("words", at("every night"), "schedule must be five fields with one space between them"),
		Entry("an interval", at("@every 1h"), "schedule must be five fields with one space between them"),
		Entry("a time zone in the schedule", at("TZ=UTC 0 3 * * *"), "the time zone is in timeZone"),
		Entry("the minute 60", at("60 3 * * *"), "schedule has a wrong minute; write 0 to 59"),
		Entry("the hour 24", at("0 24 * * *"), "schedule has a wrong hour; write 0 to 23"),
		Entry("the day 0", at("0 3 0 * *"), "schedule has a wrong day of the month; write 1 to 31"),
		Entry("the month 13", at("0 3 * 13 *"), "schedule has a wrong month; write 1 to 12 or jan to dec"),
		Entry("the day of the week 7", at("0 3 * * 7"), "schedule has a wrong day of the week; write 0 to 6 or sun to sat"),
		Entry("a step of zero", at("*/0 * * * *"), "schedule has a wrong minute"),
		Entry("a time zone that is none", inZone("Europe/Berln"), "timeZone must be the name of a time zone, such as Europe/Berlin or UTC"),
		Entry("the time zone of whatever machine it is", inZone("Local"), "timeZone must be the name of a time zone, such as Europe/Berlin or UTC"),
	)

	DescribeTable("no schedule that a CronJob can have:", func(ctx SpecContext, object any) {
		if builder, ok := object.(*builders.TenantBuilder); ok {
			object = builder.Build()
		}
		Expect(env.Client.Create(ctx, object.(client.Object), client.DryRunAll)).To(Succeed())
	},
		Entry("each night", at("0 3 * * *")),
		Entry("ranges, lists, steps and names", at("*/15,1-5/2,59 0-6,22 1,15 jan-Mar,12 MON-FRI")),
		Entry("a macro", at("@hourly")),
		Entry("a time zone", inZone("America/Argentina/Buenos_Aires")),
		Entry("an offset", inZone("Etc/GMT+5")),
	)

	It("a schedule that is wrong in a way that only Kubernetes finds, once it is applied, in a sentence", func(ctx SpecContext) {
		tenant := apply(ctx, builders.Tenant("backwards").App(image).Schedule("bill", "0 5-3 * * *", "/bill"))
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonInvalid,
			"beginning of range (5) beyond end of range (3)", "Correct spec.app.schedules[bill]."))
		change(ctx, tenant, func() { tenant.Spec.App.Schedules[0].Schedule = "0 3-5 * * *" })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})

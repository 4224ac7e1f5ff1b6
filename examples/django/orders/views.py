import json

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from . import custom_fields, features
from .forms import OrderForm
from .models import Line, Order


def store(wanted):
    created = Order(number=wanted["number"], fields=wanted.get("fields", {}))
    created.clean()
    with transaction.atomic():
        created.save()
        Line.objects.bulk_create(
            Line(order=created, **line) for line in wanted["lines"]
        )
    return created


def taken(number):
    return f"There is an order {number} already."


@require_http_methods(["GET", "HEAD", "POST"])
def shop(request):
    form = OrderForm(request.POST or None)
    if form.is_valid():
        wanted = form.order()
        try:
            store(wanted)
            return redirect("/")
        except ValidationError as error:
            form.add_error(None, error.messages)
        except IntegrityError:
            form.add_error("number", taken(wanted["number"]))
    titles = custom_fields.titles()
    rows = [
        (order, [order.fields.get(name, "") for name in titles])
        for order in Order.objects.prefetch_related("lines")
    ]
    return render(
        request,
        "orders/shop.html",
        {
            "shop": settings.SHOP_NAME,
            "color": settings.SHOP_COLOR,
            "free_delivery": features.is_on("free-delivery"),
            "titles": titles.values(),
            "rows": rows,
            "form": form,
        },
    )


@require_safe
def healthz(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"shop": settings.SHOP_NAME})


@csrf_exempt
@require_http_methods(["GET", "POST"])
def orders(request):
    if request.method == "GET":
        found = Order.objects.prefetch_related("lines")
        return JsonResponse([order.as_dict() for order in found], safe=False)

    wanted = json.loads(request.body)
    try:
        created = store(wanted)
    except ValidationError as error:
        return JsonResponse({"error": error.messages[0]}, status=422)
    except IntegrityError:
        return JsonResponse({"error": taken(wanted["number"])}, status=409)
    return JsonResponse(created.as_dict(), status=201)


@csrf_exempt
@require_http_methods(["PATCH", "DELETE"])
def order(request, order_id):
    found = get_object_or_404(Order, pk=order_id)
    if request.method == "DELETE":
        found.delete()
        return HttpResponse(status=204)

    found.paid = json.loads(request.body)["paid"]
    found.save(update_fields=["paid"])
    return JsonResponse(found.as_dict())

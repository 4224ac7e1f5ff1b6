import json

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from . import custom_fields, features
from .models import Line, Order


@require_safe
def shop(request):
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
    created = Order(number=wanted["number"], fields=wanted.get("fields", {}))
    try:
        created.clean()
        with transaction.atomic():
            created.save()
            Line.objects.bulk_create(
                Line(order=created, **line) for line in wanted["lines"]
            )
    except ValidationError as error:
        return JsonResponse({"error": error.messages[0]}, status=422)
    except IntegrityError:
        return JsonResponse(
            {"error": f"There is an order {wanted['number']} already."},
            status=409,
        )
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

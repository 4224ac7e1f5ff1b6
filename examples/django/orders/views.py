import json

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from .models import Line, Order


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
        with transaction.atomic():
            created = Order.objects.create(number=wanted["number"])
            Line.objects.bulk_create(
                Line(order=created, **line) for line in wanted["lines"]
            )
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
    found.save()
    return JsonResponse(found.as_dict())

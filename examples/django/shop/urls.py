from django.urls import path

from orders import views

urlpatterns = [
    path("", views.shop),
    path("healthz", views.healthz),
    path("orders", views.orders),
    path("orders/<int:order_id>", views.order),
]

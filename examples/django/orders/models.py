from django.core.exceptions import ValidationError
from django.db import models

from . import custom_fields


class Order(models.Model):
    """It is new until the worker has packed it, and is billed at night."""

    class State(models.TextChoices):
        NEW = "new"
        PACKED = "packed"
        BILLED = "billed"

    number = models.CharField(max_length=40, unique=True)
    paid = models.BooleanField(default=False)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.NEW
    )
    fields = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["id"]

    def as_dict(self):
        return {
            "id": self.id,
            "number": self.number,
            "paid": self.paid,
            "state": self.state,
            "fields": self.fields,
            "lines": [line.as_dict() for line in self.lines.all()],
        }

    def clean(self):
        fault = custom_fields.fault(self.fields)
        if fault:
            raise ValidationError({"fields": fault})


class Line(models.Model):
    order = models.ForeignKey(
        Order, on_delete=models.CASCADE, related_name="lines"
    )
    article = models.CharField(max_length=80)
    quantity = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["id"]

    def as_dict(self):
        return {"article": self.article, "quantity": self.quantity}

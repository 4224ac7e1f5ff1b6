from django.db import models


class Order(models.Model):
    number = models.CharField(max_length=40, unique=True)
    paid = models.BooleanField(default=False)

    class Meta:
        ordering = ["id"]

    def as_dict(self):
        return {
            "id": self.id,
            "number": self.number,
            "paid": self.paid,
            "lines": [line.as_dict() for line in self.lines.all()],
        }


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

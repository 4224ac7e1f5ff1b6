"""The form of a new order, with what orders have in this shop only."""
import json

from django import forms

from . import custom_fields


class OrderForm(forms.Form):
    number = forms.CharField(label="Order", max_length=40)
    article = forms.CharField(max_length=80)
    quantity = forms.IntegerField(min_value=1, initial=1)

    def __init__(self, *args):
        super().__init__(*args)
        for name, of in custom_fields.properties().items():
            self.fields[f"fields.{name}"] = forms.CharField(
                label=of.get("title", name), required=False
            )

    def order(self):
        """The order as a request to /orders has it."""
        wanted = self.cleaned_data
        fields = {
            name: value(of, wanted[f"fields.{name}"])
            for name, of in custom_fields.properties().items()
            if wanted[f"fields.{name}"]
        }
        line = {"article": wanted["article"], "quantity": wanted["quantity"]}
        return {"number": wanted["number"], "lines": [line], "fields": fields}


def value(of, text):
    """What was written, in the type that its schema asks for."""
    if of.get("type", "string") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text

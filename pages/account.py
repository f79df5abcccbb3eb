"""Signing in and out, API tokens, the password, the theme and the time zone."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from catalog.models import ApiToken, User
from catalog.tokens import issue_token
from pages.context import THEMES
from pages.middleware import for_everyone
from pages.zones import zone_names

_A_YEAR = 365 * 24 * 3600


class TokenForm(forms.Form):
    """What a new API token is for, and how far it reaches."""

    name = forms.CharField(max_length=100, label="What is it for", widget=forms.TextInput({"placeholder": "airflow"}))
    scope = forms.ChoiceField(choices=ApiToken.Scope.choices, label="It may")


class ZoneForm(forms.ModelForm):
    """In which zone the reader wants times."""

    time_zone = forms.ChoiceField(
        choices=lambda: [("", "As the browser says"), ("UTC", "UTC"), *((name, name) for name in sorted(zone_names()))],
        required=False,
        label="Times are in",
        help_text="Pages and forms speak in this zone; REST, CSV files and mails in UTC. Days of data, such as those "
        "of reads and partitions, stay days of the source.",
    )

    class Meta:
        model = User
        fields = ["time_zone"]


class SignIn(auth.LoginView):
    template_name = "account/sign_in.html"
    redirect_authenticated_user = True


class ChangePassword(auth.PasswordChangeView):
    template_name = "account/password.html"
    success_url = reverse_lazy("account")

    def form_valid(self, form: forms.Form) -> HttpResponse:
        messages.success(self.request, "The password is changed.")
        return super().form_valid(form)


@for_everyone
@never_cache
def account(request: HttpRequest) -> HttpResponse:
    """Who is signed in, and their API tokens; a new token's secret is shown here once."""
    form = TokenForm(request.POST or None)
    secret, status = "", 200
    if request.method == "POST":
        if form.is_valid():
            _, secret = issue_token(user=request.user, **form.cleaned_data)
            form = TokenForm()
        else:
            status = 422
    tokens = ApiToken.objects.filter(user=request.user).order_by("-created_at", "-id")
    context = {"title": "Account", "form": form, "secret": secret, "tokens": tokens}
    context["zone_form"] = ZoneForm(instance=request.user)
    return render(request, "account/account.html", context, status=status)


@for_everyone
@require_POST
def set_zone(request: HttpRequest) -> HttpResponse:
    """Keep the zone in which the reader wants times; nothing chosen follows the browser."""
    form = ZoneForm(request.POST, instance=request.user)
    if form.is_valid():
        form.save()
        messages.success(request, f"Times are in {form.instance.time_zone or 'the zone of your browser'} now.")
    else:
        messages.error(request, " ".join(form.errors["time_zone"]))
    return redirect("account")


@for_everyone
@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a token of the reader's own out of use."""
    deleted, _ = ApiToken.objects.filter(user=request.user, pk=pk).delete()
    if not deleted:
        raise Http404("You have no such token.")
    messages.success(request, "The token is revoked: programs that use it are refused from now on.")
    return redirect("account")


@for_everyone
@login_not_required
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie, and go back to the page."""
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    response = HttpResponseRedirect(back if safe else "/")
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        response.set_cookie("theme", theme, max_age=_A_YEAR, samesite="Lax")
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response

"""Signing in and out, where there is anything to sign in with."""

from typing import Final

from flask import Blueprint, redirect, render_template, request, session
from flask.typing import ResponseReturnValue

from console.backing import backing

blueprint: Final = Blueprint("sessions", __name__)


@blueprint.get("/session")
def sign_in_page() -> ResponseReturnValue:
    return render_template("sign_in.html", sign_in=backing().access.kind)


@blueprint.post("/session")
def sign_in() -> ResponseReturnValue:
    backing().access.sign_in(request.form.get("token", "").strip())
    return redirect("/", 303)


@blueprint.post("/session/end")
def sign_out() -> ResponseReturnValue:
    session.clear()
    return redirect("/session", 303)

from runtime.serve.http.description import describe
from runtime.serve.parameters import PARAMETERS
from runtime.serve.settings import Settings


def test_every_option_of_every_request_is_described():
    paths = describe(Settings())["paths"]
    for kind, parameters in PARAMETERS.items():
        post = paths[f"/v1/{kind}"]["post"]
        assert {each["name"] for each in post["parameters"]} == set(parameters)
        form = post["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
        assert set(parameters) < set(form)
        assert {"200", "400", "413", "415", "422", "429", "502", "503", "504"} <= set(post["responses"])
    types = {each["name"]: each["schema"]["type"] for each in paths["/v1/deblur"]["post"]["parameters"]}
    assert (types["stride"], types["refine"], types["noise"], types["quality"]) == (
        "integer",
        "boolean",
        "number",
        "string",
    )


def test_every_address_is_described(real_client):
    described = real_client.get("/openapi.json").json()["paths"]
    for path in ("/v1/models", "/healthz", "/readyz", "/metrics"):
        assert path in described
        assert real_client.get(path).status_code == 200


def test_the_limits_are_stated():
    assert (
        "3 MB and 7 megapixels" in describe(Settings(request_bytes=3_000_000, pixels=7_000_000))["info"]["description"]
    )

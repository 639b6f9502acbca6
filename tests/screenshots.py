"""The pictures of the page in docs/, taken from the running service: `make screenshots`."""

import io
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.chromium import chromium
from tests.conftest import ROOT
from tests.test_local_service import running

DESKTOP, PHONE = (1240, 790), (390, 800)


@dataclass(frozen=True)
class Picture:
    """One picture: where the page stands, at what size, in which scheme, and how far it is scrolled to."""

    name: str
    address: str
    size: tuple[int, int] = DESKTOP
    scheme: Literal["light", "dark"] = "light"
    rows: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


ROWS = "\n".join(
    [
        *(ROOT / "data" / "babies.csv").read_text().splitlines()[:4],
        "4,121,28O,0,27,62,100,0",
        *(ROOT / "data" / "babies.csv").read_text().splitlines()[5:7],
        "7,119,281,0,33,64,135,2.5",
        *(ROOT / "data" / "babies.csv").read_text().splitlines()[8:],
    ]
)
PICTURES = (
    Picture("page", "iris/1.0.0?petal_length=4.95", size=(1240, 950)),
    Picture("page-dark", "babies/1.0.0?gestation=292&smoke=1", scheme="dark", size=(1240, 970)),
    Picture("page-rows", "babies", rows=ROWS, size=(1240, 900)),
    Picture("page-phone", "babies/1.0.0?age=", PHONE, "dark", more={"device_scale_factor": 2, "is_mobile": True}),
)


def take(browser: Browser, url: str, picture: Picture) -> bytes:
    """Return the picture as WebP: a quarter of the PNG."""
    width, height = picture.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=picture.scheme,
        reduced_motion="reduce",
        **picture.more,
    )
    page = context.new_page()
    page.goto(f"{url}/#{picture.address}")
    page.locator("#curve .point").first.wait_for()
    page.wait_for_timeout(500)  # the last debounce
    if picture.rows:
        score(page, picture.rows)
    shot = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    found = io.BytesIO()
    shot.save(found, "WEBP", quality=88, method=6)
    return found.getvalue()


def score(page: Page, rows: str) -> None:
    """Score the rows, and scroll to them."""
    page.locator("#file").set_input_files({"name": "rows.csv", "mimeType": "text/csv", "buffer": rows.encode()})
    page.locator(".refused").first.wait_for()
    page.evaluate("document.querySelector('#batch').closest('section').scrollIntoView()")


def main() -> None:
    """Write docs/<name>.webp for each picture."""
    with running(MODEL_STORE=(ROOT / "artifacts").as_uri(), MODEL_DEFAULT="iris") as url, chromium() as browser:
        for picture in PICTURES:
            file = ROOT / "docs" / f"{picture.name}.webp"
            file.write_bytes(take(browser, url, picture))
            print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

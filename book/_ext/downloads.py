"""What the site has to download: `{offered}`notebooks`` links a zip of all notebooks, made with the site.

`{offered}`pdf`` is the place where book/build.py links the whole book as a PDF, if it can print one.
"""

import zipfile
from importlib.metadata import version
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole
from sphinx.util.typing import ExtensionMetadata

NAME = "gan-book-notebooks"
README = """\
# 生成对抗网络：全部笔记本

这里是《生成对抗网络》第 {version} 版的笔记本，连同本站上显示的输出，用 Jupyter 打开就能看。

要运行它们，需要：

- Python 3.11、3.12 或 3.13；
- 本书的源代码{address}：笔记本导入其中的程序包 `gan`，读 `book/results/` 里发布的运行；
- `gan` 的依赖，版本见源代码的 `requirements.txt`：在源代码的根目录下运行 `make book`，就会装进 `.venv`。

再把 `book/` 里的笔记本换成这里的，在源代码的根目录下运行 Jupyter，或者

    source .venv/bin/activate
    papermill book/mnist.ipynb out.ipynb

默认的设置用普通的 CPU，不需要下载数据。换成论文规模的实验，要什么数据、多少时间，见“重新运行”一章。

代码以 MIT 许可证发布，文字和插图以 CC BY 4.0 许可协议发布。
"""


class Offered(SphinxRole):
    """The link, or its place."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        if self.text == "pdf":
            return [nodes.inline(classes=["offered-pdf"])], []
        if self.text != "notebooks":
            told = f"{self.text} is not offered; there are: notebooks, pdf"
            return [], [self.inliner.reporter.error(told, line=self.lineno)]
        up = "../" * self.env.docname.count("/")
        return [nodes.reference("", "全部笔记本", refuri=f"{up}_downloads/{NAME}.zip")], []


def pack(notebooks: list[Path], address: str, to: Path) -> None:
    """The zip, the same bytes for the same notebooks."""
    readme = README.format(version=version("gan-book"), address=f"（{address}）" if address else "")
    files = {"README.md": readme.encode(), **{path.name: path.read_bytes() for path in sorted(notebooks)}}
    to.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"{NAME}/{name}"), content, zipfile.ZIP_DEFLATED)


def write_zip(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return
    address = app.config.html_theme_options.get("repository_url", "")
    pack(list(Path(app.srcdir, "book").glob("*.ipynb")), address, Path(app.outdir, f"_downloads/{NAME}.zip"))


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_role("offered", Offered())
    app.connect("build-finished", write_zip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

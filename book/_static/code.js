"use strict"
// A button folds the code of all of a page's cells, and brings them back as the page has them; the next page
// remembers. A folded cell is what the book's own folded cells are (myst-nb), and unfolds like these.
{
    const KEY = "code"
    const FOLD = `<details class="admonition hide above-input"><summary aria-label="展开或收起">
        <p class="collapsed admonition-title">展开代码</p><p class="expanded admonition-title">收起代码</p>
        </summary></details>`

    /** @param {boolean} folded */
    function fold(folded) {
        if (folded) {
            for (const code of document.querySelectorAll(".cell > .cell_input")) {
                code.insertAdjacentHTML("beforebegin", FOLD)
                const details = /** @type {HTMLDetailsElement} */ (code.previousElementSibling)
                details.dataset.folded = ""
                details.append(code)
            }
        }
        for (const details of document.querySelectorAll("details.hide")) {
            const open = /** @type {HTMLDetailsElement} */ (details)
            if (folded) open.open = false
            else if ("folded" in open.dataset) open.replaceWith(...open.querySelectorAll(":scope > .cell_input"))
        }
    }

    /** Where nothing can be kept, as in some private windows, each page begins as the book has it. */
    function remembered() {
        try {
            return localStorage.getItem(KEY) == "folded"
        } catch {
            return false
        }
    }

    /** @param {boolean} folded */
    function remember(folded) {
        try {
            if (folded) localStorage.setItem(KEY, "folded")
            else localStorage.removeItem(KEY)
        } catch {
            // as above
        }
    }

    const bar = document.querySelector(".article-header-buttons")
    if (bar && document.querySelector("article .cell_input")) {
        const button = document.createElement("button")
        button.className = "btn code-button"
        button.type = "button"
        button.innerHTML = '<i class="fa-solid fa-code"></i>'
        let folded = remembered()
        const apply = () => {
            fold(folded)
            button.title = folded ? "显示代码" : "收起全部代码"
            button.setAttribute("aria-label", button.title)
        }
        button.addEventListener("click", () => {
            folded = !folded
            remember(folded)
            apply()
        })
        apply()
        bar.prepend(button)
    }
}

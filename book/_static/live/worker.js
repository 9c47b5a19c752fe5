import { trainer } from "./training.js"

const answer = trainer()
addEventListener("message", ({ data }) => postMessage(answer(data, 12)))
